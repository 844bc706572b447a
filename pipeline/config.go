package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"archflow/encoders"
	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/schemas"
)

// Config is everything that a user can set. Each field is a key of the
// configuration file, a flag, and an environment variable with the prefix
// ARCHFLOW_; the tags hold the one text and default of all three.
type Config struct {
	Brokers      []string `help:"Kafka brokers as HOST:PORT; without any, a broker inside the process that keeps its data under --data."`
	BrokerListen string   `placeholder:"HOST:PORT" help:"Address of the broker inside the process, for other Kafka clients; without it a free port of the loopback. Beyond the loopback it needs --sasl, whose user is then the broker's."`
	TopicPrefix  string   `default:"archflow." help:"What the names of all topics begin with."`
	Group        string   `default:"archflow" help:"Consumer group. Any number of processes of any role share one."`
	Data         string   `default:"archflow-data" help:"Folder of the embedded broker and of the default table and store."`
	Table        string   `help:"Delta tables: a folder, file:// or s3:// URL. Default: DATA/tables."`
	Store        string   `help:"Checkpoints and models: a folder, file:// or s3:// URL. Default: DATA/store."`
	Role         string   `default:"all" enum:"all,worker,trainer" help:"What this process does: answer candidates (worker), learn (trainer), or both."`
	HTTP         string   `name:"http" default:"127.0.0.1:8099" help:"Address of the page, the metrics and the health checks; 'off' for none."`
	HTTPToken    string   `name:"http-token" help:"Token that HTTP requests must bear, needed when --http is not on the loopback; better given as ARCHFLOW_HTTP_TOKEN than as a flag."`
	HTTPHost     []string `name:"http-host" help:"Further names by which HTTP requests may call this process, such as that of a proxy before it; addresses and names of a cluster's services need none." placeholder:"NAME"`
	TraceURL     string   `name:"trace-url" help:"Where the page links traces to, with {trace} in the place of the id, such as http://localhost:16686/trace/{trace}." placeholder:"URL"`
	Pprof        bool     `help:"Serve /debug/pprof/ too."`
	LogFormat    string   `default:"text" enum:"text,json" help:"Format of the log on standard error."`

	Partitions int           `default:"4" help:"Partitions of the topics that archflow creates, but for labels and models, which have one."`
	Session    time.Duration `default:"10s" help:"How long a process that has gone silent keeps its partitions."`
	Delivery   string        `default:"exactly-once" enum:"exactly-once,low-latency" help:"exactly-once: a Kafka transaction carries predictions and positions. low-latency: predictions are written at once, and may be repeated after a crash."`

	TableInterval time.Duration `default:"5s" help:"Longest time between two commits to a table by all processes of the group together: one with a quarter of the partitions commits every four times as long, a minute at most."`
	TableRows     int           `default:"100000" help:"Rows after which the tables are committed at the latest."`
	Surrogate     bool          `help:"Put the flow surrogate into each prediction message."`
	Embedding     bool          `help:"Put the embedding into the predictions table."`

	Spaces int `default:"64" help:"Spaces of your own naming that are learnt, beside the built-in ones; the candidates of others are answered without a model."`

	MaxNodes        int `default:"2000" help:"Largest number of nodes of an architecture."`
	MaxMessageBytes int `default:"1048576" help:"Largest candidate or label in bytes."`

	FirstLabels int           `default:"16" help:"Labels of a task before its first model; 5 where another task of the space or a lower fidelity has at least as many and twice its own."`
	LabelGrowth float64       `default:"0.25" help:"Growth of the number of labels, as a share, after which to fine-tune again."`
	Predictor   string        `default:"best" enum:"best,fgp" help:"best: closed-form heads on many features, distilled into the encoder. fgp: the published method alone."`
	Encoder     []string      `help:"Encoder: resgated (the default), gin, flowerformer, digcn, mlp or transformer; for a suite of experiments several." placeholder:"NAME"`
	Width       int           `help:"Width of the encoder; without it 128, of flowerformer 64." placeholder:"N"`
	Layers      int           `help:"Layers of the encoder; without it 3, of flowerformer 9." placeholder:"N"`
	Epochs      int           `default:"40" help:"Epochs of pre-training over the replay buffer before the first fine-tuning."`
	Buffer      int           `default:"20000" help:"Distinct networks in the replay buffer of a space."`
	Remember    int           `default:"200000" help:"Candidates whose id a later label can name."`
	WaitLabels  int           `default:"100000" help:"Labels of a space that wait for their candidates; beyond that the oldest are given up."`
	TrainShare  float64       `default:"0.25" help:"Share of one core that training gets even while candidates wait, 0 to 1."`
	Checkpoint  time.Duration `default:"60s" help:"Time between two checkpoints of the trainer."`
	Rescore     int           `placeholder:"N" help:"Networks of a space that are scored again after a promotion, into the table scores, at most once in ten minutes; those never answered first. Without it none."`
	Seed        uint64        `default:"1" help:"Seed of every random draw."`

	TLS              bool   `name:"tls" help:"Use TLS to Kafka."`
	TLSCA            string `name:"tls-ca" help:"File with the certificates that sign the brokers'."`
	TLSCert          string `name:"tls-cert" help:"File with the client's certificate, for mutual TLS."`
	TLSKey           string `name:"tls-key" help:"File with the client's key."`
	SASL             string `name:"sasl" enum:",plain,scram-sha-256,scram-sha-512" default:"" help:"SASL mechanism: plain, scram-sha-256 or scram-sha-512."`
	SASLUser         string `name:"sasl-user" help:"SASL user."`
	SASLPassword     string `name:"sasl-password" help:"SASL password; better given as ARCHFLOW_SASL_PASSWORD or as a file."`
	SASLPasswordFile string `name:"sasl-password-file" help:"File with the SASL password."`

	SkipLost  bool `help:"Go on when retention has deleted messages before they were read: each gap becomes one dead letter. Without it such a run is refused."`
	ExitAtEnd bool `help:"Process what the topics hold at start, wait for training that is due, print a summary and stop."`
}

// Roles.
const (
	RoleAll     = "all"
	RoleWorker  = "worker"
	RoleTrainer = "trainer"
)

var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)

// Validate checks the settings beyond their types and changes none. The error names
// every wrong key, its value and the cure.
func (c *Config) Validate() error {
	var wrong []error
	refuse := func(ok bool, format string, a ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, a...))
		}
	}
	for _, b := range c.Brokers {
		if err := kafka.CheckAddress(b); err != nil {
			wrong = append(wrong, fmt.Errorf("brokers: %w", err))
		}
	}
	if c.BrokerListen != "" {
		host, _, err := net.SplitHostPort(c.BrokerListen)
		refuse(err == nil, "broker-listen: %q is not HOST:PORT, for example 127.0.0.1:9092", c.BrokerListen)
		refuse(err != nil || isPort(c.BrokerListen), "broker-listen: %q has no port from 0 to 65535", c.BrokerListen)
		refuse(len(c.Brokers) == 0, "broker-listen: %s is of the broker inside the process, and brokers names another; leave one of them out", c.BrokerListen)
		refuse(err != nil || host == "localhost" || net.ParseIP(host).IsLoopback() || c.SASL != "",
			"broker-listen: %s can be reached from other machines and so needs sasl, sasl-user and a password; or listen on 127.0.0.1", c.BrokerListen)
	}
	refuse(legalTopic.MatchString(c.TopicPrefix) && len(c.TopicPrefix) < 200, "topic-prefix: %q has a character that Kafka does not allow in a topic; use letters, digits, '.', '_' and '-'", c.TopicPrefix)
	refuse(c.Group != "" && len(c.Group) < 200 && !strings.ContainsAny(c.Group, "/\x00"), "group: %q must not be empty or contain '/'", c.Group)
	refuse(c.Data != "", "data: the folder must not be empty; leave the key out for archflow-data")
	refuse(c.Partitions > 0 && c.Partitions <= 10000, "partitions: %d is outside 1 to 10000", c.Partitions)
	refuse(c.Session >= time.Second && c.Session <= 5*time.Minute, "session: %v is outside 1s to 5m", c.Session)
	refuse(c.TableInterval >= 100*time.Millisecond, "table-interval: %v is shorter than 100ms, which would flood the table with commits", c.TableInterval)
	refuse(c.TableRows > 0, "table-rows: %d must be positive", c.TableRows)
	refuse(c.Spaces >= 0, "spaces: %d must not be negative", c.Spaces)
	refuse(c.MaxNodes > 0, "max-nodes: %d must be positive", c.MaxNodes)
	refuse(c.MaxMessageBytes >= 1024, "max-message-bytes: %d is less than 1024", c.MaxMessageBytes)
	refuse(c.FirstLabels >= 5, "first-labels: %d is less than 5, too few to say how sure a prediction is", c.FirstLabels)
	refuse(c.LabelGrowth > 0, "label-growth: %v must be positive", c.LabelGrowth)
	refuse(c.TrainShare > 0 && c.TrainShare <= 1, "train-share: %v is outside 0 to 1", c.TrainShare)
	for _, e := range c.Encoder {
		refuse(slices.Contains(encoders.Names, e), "encoder: %q is unknown; choose %s", e, strings.Join(encoders.Names, ", "))
	}
	refuse(c.Width == 0 || c.Width >= 8 && c.Width <= 4096, "width: %d is outside 8 to 4096", c.Width)
	refuse(c.Layers >= 0 && c.Layers <= 64, "layers: %d is outside 1 to 64", c.Layers)
	refuse(c.Epochs >= 0, "epochs: %d is negative", c.Epochs)
	refuse(c.Buffer >= 64, "buffer: %d is less than 64 networks", c.Buffer)
	refuse(c.Remember >= 0, "remember: %d is negative", c.Remember)
	refuse(c.WaitLabels >= 1, "wait-labels: %d must be positive", c.WaitLabels)
	refuse(c.Rescore >= 0, "rescore: %d must not be negative", c.Rescore)
	refuse(c.Checkpoint >= time.Second, "checkpoint: %v is shorter than 1s", c.Checkpoint)
	if host, _, err := net.SplitHostPort(c.HTTP); c.HTTP != "off" {
		refuse(err == nil, "http: %q is not HOST:PORT, for example 127.0.0.1:8099, or off", c.HTTP)
		refuse(err != nil || isPort(c.HTTP), "http: %q has no port from 0 to 65535", c.HTTP)
		refuse(err != nil || host == "localhost" || net.ParseIP(host).IsLoopback() || c.HTTPToken != "",
			"http: %s can be reached from other machines and so needs a token: set ARCHFLOW_HTTP_TOKEN, or listen on 127.0.0.1", c.HTTP)
	}
	if c.TraceURL != "" {
		u, err := url.Parse(strings.Replace(c.TraceURL, "{trace}", "0", 1))
		refuse(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Contains(c.TraceURL, "{trace}"),
			"trace-url: %q is no http(s) address with {trace} in it; for example http://localhost:16686/trace/{trace}", c.TraceURL)
	}
	c.checkSecurity(refuse)
	for _, u := range []struct{ key, value string }{{"table", c.Table}, {"store", c.Store}} {
		if scheme, _, found := strings.Cut(u.value, "://"); found {
			at, err := url.Parse(u.value)
			refuse(err == nil && (scheme == "file" || scheme == "s3"), "%s: %q is neither a folder nor a file:// or s3:// URL", u.key, u.value)
			refuse(err != nil || scheme != "s3" || at.Host != "", "%s: %q names no bucket; want s3://BUCKET/FOLDER", u.key, u.value)
			refuse(err != nil || scheme != "file" || at.Path != "" || at.Host != "", "%s: %q names no folder; want file:///FOLDER", u.key, u.value)
		}
	}
	return errors.Join(wrong...)
}

// checkSecurity checks the settings of TLS and SASL. The broker inside the process has
// no TLS, and a user only where it listens for other clients.
func (c *Config) checkSecurity(refuse func(ok bool, format string, a ...any)) {
	refuse((c.TLSCert == "") == (c.TLSKey == ""), "tls-cert and tls-key: one is set without the other")
	if len(c.Brokers) == 0 {
		for _, of := range []struct {
			key string
			set bool
		}{{"tls", c.TLS}, {"tls-ca", c.TLSCA != ""}, {"tls-cert", c.TLSCert != ""}, {"tls-key", c.TLSKey != ""}} {
			refuse(!of.set, "%s: no broker is named, and the one inside the process has no TLS; name yours with brokers, or leave %s out", of.key, of.key)
		}
		refuse(c.SASL == "" || c.BrokerListen != "",
			"sasl: no broker is named, and the one inside the process has no user without broker-listen; name yours with brokers, give broker-listen, or leave sasl out")
	}
	refuse(c.SASL == "" || c.SASLUser != "" && (c.SASLPassword != "" || c.SASLPasswordFile != ""), "sasl: %s needs sasl-user and a password", c.SASL)
	refuse(c.SASL != "" || c.SASLUser == "", "sasl-user: %q needs sasl too: plain, scram-sha-256 or scram-sha-512", c.SASLUser)
	refuse(c.SASLPassword == "" || c.SASLPasswordFile == "", "sasl-password and sasl-password-file: both are set; leave one of them out")
}

// isPort says whether an address ends with a port on which one can listen.
func isPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// TablePlace returns the place of the Delta tables: Table, by default a folder of Data.
func (c *Config) TablePlace() string { return cmp.Or(c.Table, filepath.Join(c.Data, "tables")) }

// StorePlace returns the place of checkpoints and models: Store, by default a folder of
// Data.
func (c *Config) StorePlace() string { return cmp.Or(c.Store, filepath.Join(c.Data, "store")) }

// Limits returns the size limits of candidates and labels.
func (c *Config) Limits() schemas.Limits {
	return schemas.Limits{Nodes: c.MaxNodes, MessageBytes: c.MaxMessageBytes}
}

// encoder returns the name, the width and the layers of the encoder that learns.
func (c *Config) encoder() (name string, width, layers int) {
	name = encoders.Names[0]
	if len(c.Encoder) > 0 {
		name = c.Encoder[0]
	}
	width, layers = encoders.DefaultSize(name)
	return name, cmp.Or(c.Width, width), cmp.Or(c.Layers, layers)
}

// learning returns, as a line of text, the settings on which the trainer's results
// depend.
func (c *Config) learning() string {
	encoder, width, layers := c.encoder()
	return fmt.Sprintf("predictor=%s encoder=%s width=%d layers=%d epochs=%d buffer=%d remember=%d wait-labels=%d first-labels=%d label-growth=%v seed=%d max-nodes=%d max-message-bytes=%d spaces=%d fits=pieces",
		c.Predictor, encoder, width, layers, c.Epochs, c.Buffer, c.Remember, c.WaitLabels, c.FirstLabels, c.LabelGrowth, c.Seed, c.MaxNodes, c.MaxMessageBytes, c.Spaces)
}

// brokerAt returns where the broker inside the process listens. Beyond the loopback
// it asks for the user that this configuration names.
func (c *Config) brokerAt() (at embedded.At, err error) {
	at.Listen = c.BrokerListen
	if c.BrokerListen == "" || c.SASL == "" {
		return at, nil
	}
	at.Mechanism, at.User = c.SASL, c.SASLUser
	at.Password, err = c.Connection().Secret()
	return at, err
}

// Groups lists the consumer groups that a process of this configuration joins.
func (c *Config) Groups() []string {
	switch c.Role {
	case RoleWorker:
		return []string{c.Group}
	case RoleTrainer:
		return []string{trainers(c.Group)}
	}
	return []string{c.Group, trainers(c.Group)}
}

// Connection is how the brokers are reached, none of them named when the broker is
// inside.
func (c *Config) Connection() *kafka.Connection {
	return &kafka.Connection{
		Brokers: c.Brokers, TLS: c.TLS, CAFile: c.TLSCA, CertFile: c.TLSCert, KeyFile: c.TLSKey,
		Mechanism: c.SASL, User: c.SASLUser, Password: c.SASLPassword, PasswordFile: c.SASLPasswordFile,
	}
}

// trainers is the group of those that would train.
func trainers(group string) string { return group + "-trainer" }
