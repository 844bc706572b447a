package inspect

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/pipeline"
	"archflow/schemas"
)

const (
	onTopic        = kmsg.ACLResourceTypeTopic
	onGroup        = kmsg.ACLResourceTypeGroup
	onTransactions = kmsg.ACLResourceTypeTransactionalId
)

// minimalRights are the ACLs of docs/security.md for a role, by the check of doctor
// that finds one missing.
func minimalRights(c *pipeline.Config, role string) map[string]kfake.ACL {
	all := map[string]kfake.ACL{}
	add := func(check string, on kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) {
		all[check+", "+operation.String()] = kfake.ACL{Resource: on, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
	}
	topics := kafka.TopicsOf(c.TopicPrefix)
	for _, topic := range topics.All() {
		add("topic "+topic, onTopic, topic, kmsg.ACLOperationCreate)
		add("topic "+topic, onTopic, topic, kmsg.ACLOperationDescribeConfigs)
		if topic != topics.Labels || role != pipeline.RoleWorker {
			add("topic "+topic, onTopic, topic, kmsg.ACLOperationRead)
		} else {
			add("topic "+topic, onTopic, topic, kmsg.ACLOperationDescribe)
		}
	}
	add("topic "+topics.DeadLetters, onTopic, topics.DeadLetters, kmsg.ACLOperationWrite)
	groups := []string{c.Group, c.Group + "-trainer"}
	if role != pipeline.RoleTrainer {
		add("topic "+topics.Predictions, onTopic, topics.Predictions, kmsg.ACLOperationWrite)
	} else {
		groups = groups[1:]
	}
	if role != pipeline.RoleWorker {
		add("topic "+topics.Models, onTopic, topics.Models, kmsg.ACLOperationWrite)
	} else {
		groups = groups[:1]
	}
	for _, group := range groups {
		add("group "+group, onGroup, group, kmsg.ACLOperationRead)
		prefixed := kfake.ACL{Resource: onTransactions, Name: c.TopicPrefix + group + "/", Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: kmsg.ACLOperationWrite, Allow: true}
		all["transactions of "+group+", WRITE"] = prefixed
	}
	return all
}

// guarded starts a broker where alice has rights and returns her configuration and
// that of a user who may do everything.
func guarded(t *testing.T, role string, acls []kfake.ACL, more ...kfake.Opt) (c, admin *pipeline.Config) {
	t.Helper()
	c = settings(t)
	c.Role = role
	c.Brokers = []string{kafkatest.Fake(t, append(more, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("PLAIN", "admin", "secret"), kfake.User("PLAIN", "alice", "secret", acls...))...)}
	c.SASL, c.SASLUser, c.SASLPassword, c.HTTP, c.FirstLabels = "plain", "alice", "secret", "off", 8
	other := *c
	other.SASLUser = "admin"
	return c, &other
}

func rightsIn(all map[string]kfake.ACL, but string) []kfake.ACL {
	var list []kfake.ACL
	for name, acl := range all {
		if name != but {
			list = append(list, acl)
		}
	}
	return list
}

// examine returns doctor's findings by check.
func examine(t *testing.T, c *pipeline.Config) map[string]Finding {
	t.Helper()
	found := map[string]Finding{}
	Examine(t.Context(), c, func(f Finding) {
		if f.Status != FindingOK && f.Cure == "" {
			t.Errorf("%s: %s: no cure", f.Check, f.Found)
		}
		found[f.Check] = f
	})
	return found
}

func failures(found map[string]Finding) (failed []string) {
	for _, f := range found {
		if f.Status == FindingFail {
			failed = append(failed, f.Check+": "+f.Found)
		}
	}
	slices.Sort(failed)
	return failed
}

var roles = []string{pipeline.RoleAll, pipeline.RoleWorker, pipeline.RoleTrainer}

// guardedByKafka is guarded on an Apache Kafka, where each role is a user with topics and a
// group of its own.
func guardedByKafka(t *testing.T, role, broker, address string) (c, admin *pipeline.Config) {
	t.Helper()
	c = settings(t)
	c.Role, c.TopicPrefix, c.Group, c.Brokers = role, role+".", role, []string{address}
	c.SASL, c.SASLUser, c.SASLPassword, c.HTTP, c.FirstLabels = "plain", role, "secret", "off", 8
	other := *c
	other.SASL, other.SASLUser, other.SASLPassword, other.Brokers = "", "", "", []string{broker}
	grant := kmsg.NewPtrCreateACLsRequest()
	for _, acl := range minimalRights(c, role) {
		one := kmsg.NewCreateACLsRequestCreation()
		one.ResourceType, one.ResourceName, one.ResourcePatternType = acl.Resource, acl.Name, acl.Pattern
		one.Principal, one.Host, one.Operation, one.PermissionType = "User:"+role, "*", acl.Operation, kmsg.ACLPermissionTypeAllow
		grant.Creations = append(grant.Creations, one)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	answer, err := grant.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Results {
		if r.ErrorCode != 0 {
			t.Fatalf("an ACL was not taken: code %d", r.ErrorCode)
		}
	}
	// They reach the broker a moment later.
	kafkatest.Eventually(t, "the ACLs hold", func() bool {
		all := map[string]Finding{}
		Examine(t.Context(), c, func(f Finding) { all[f.Check] = f })
		return failures(all) == nil
	})
	return c, &other
}

// TestMinimalRights: each role runs with the rights that docs/security.md lists, from
// topics that are absent to models, and doctor finds nothing to fail before it.
func TestMinimalRights(t *testing.T) {
	for _, role := range roles {
		t.Run("fake/"+role, func(t *testing.T) {
			c, admin := guarded(t, role, rightsIn(minimalRights(settings(t), role), ""))
			runsWith(t, role, c, admin)
		})
	}
	t.Run("kafka", func(t *testing.T) {
		broker, address := kafkatest.Guarded(t, roles...)
		for _, role := range roles {
			t.Run(role, func(t *testing.T) {
				c, admin := guardedByKafka(t, role, broker, address)
				runsWith(t, role, c, admin)
			})
		}
	})
}

func runsWith(t *testing.T, role string, c, admin *pipeline.Config) {
	t.Helper()
	if failed := failures(examine(t, c)); failed != nil {
		t.Fatalf("doctor before the first run: %q", failed)
	}
	report := telemetry(t)
	made, err := pipeline.Dial(t.Context(), c, report.Log) // makes the topics
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	publisher, err := pipeline.Dial(t.Context(), admin, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	candidates, labels := publisher.Writer(publisher.Topics.Architectures), publisher.Writer(publisher.Topics.Labels)
	for i := range 20 {
		send(t, candidates, chain(i))
		send(t, labels, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7))
	}
	send(t, labels, `{"space":"dag"`)
	for _, w := range []*kafka.Writer{candidates, labels} {
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.ExitAtEnd = true
	p, err := pipeline.Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.Summary().Predictions; role != pipeline.RoleTrainer && n != 20 {
		t.Errorf("%d of 20 candidates are answered", n)
	}
	if role != pipeline.RoleWorker && p.ModelName("dag") == "" {
		t.Error("no model was published")
	}
	if failed := failures(examine(t, c)); failed != nil {
		t.Errorf("doctor after the run: %q", failed)
	}
}

// TestDoctorRights: without any one of the rights doctor names its topic, group or
// transactional id, and the operation in the cure.
func TestDoctorRights(t *testing.T) {
	all := minimalRights(settings(t), pipeline.RoleAll)
	for name := range all {
		t.Run(name, func(t *testing.T) {
			c, admin := guarded(t, pipeline.RoleAll, rightsIn(all, name))
			check, operation, _ := strings.Cut(name, ", ")
			want := FindingFail
			if operation != "CREATE" {
				publisher, err := pipeline.Dial(t.Context(), admin, telemetry(t).Log)
				if err != nil {
					t.Fatal(err)
				}
				defer publisher.Close()
			}
			if group, ok := strings.CutPrefix(check, "group "); ok {
				beginGroup(t, admin, group)
			}
			if operation == "DESCRIBE_CONFIGS" {
				want = FindingWarn // a run uses Kafka's defaults
			}
			found := examine(t, c)
			if f := found[check]; f.Status != want || !strings.Contains(f.Cure, operation) {
				t.Errorf("%+v", f)
			}
			if failed := failures(found); len(failed) > 1 || want == FindingWarn && len(failed) > 0 {
				t.Errorf("it names others: %q", failed)
			}
		})
	}
}

// beginGroup commits an offset: the fake broker asks for rights on groups that exist.
func beginGroup(t *testing.T, admin *pipeline.Config, group string) {
	t.Helper()
	client, err := admin.Connection().Client()
	if err != nil {
		t.Fatal(err)
	}
	at := kafka.Position{TopicPartition: schemas.TopicPartition{Topic: kafka.TopicsOf(admin.TopicPrefix).Labels}}
	if err := kafka.CommitOffsets(t.Context(), client, kafka.Member{Group: group, Generation: -1}, at); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorTransactionTimeout: the brokers allow shorter transactions only.
func TestDoctorTransactionTimeout(t *testing.T) {
	c := settings(t)
	c.Brokers = []string{kafkatest.Fake(t, kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "20000"}))}
	for _, delivery := range []struct{ name, status string }{{"exactly-once", FindingFail}, {"low-latency", FindingOK}} {
		c.Delivery = delivery.name
		f := examine(t, c)["transactions of "+c.Group]
		if f.Status != delivery.status || f.Status == FindingFail && !strings.Contains(f.Cure, "transaction.max.timeout.ms of the brokers to 30000") {
			t.Errorf("%s: %+v", delivery.name, f)
		}
	}
}

// TestDoctorAdvertised: the cluster sends its clients to an address where nobody
// listens.
func TestDoctorAdvertised(t *testing.T) {
	var listeners []net.Listener
	c := settings(t)
	c.Brokers = []string{kafkatest.Fake(t, kfake.NumBrokers(2), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		listeners = append(listeners, l)
		return l, err
	}))}
	if f := advertisedBy(t, c); f.Status != FindingOK {
		t.Errorf("%+v", f)
	}
	gone := slices.IndexFunc(listeners, func(l net.Listener) bool { return l.Addr().String() != c.Brokers[0] })
	address := listeners[gone].Addr().String()
	if err := listeners[gone].Close(); err != nil {
		t.Fatal(err)
	}
	if f := advertisedBy(t, c); f.Status != FindingFail || !strings.Contains(f.Found, address) || !strings.Contains(f.Cure, "advertised.listeners") {
		t.Errorf("%+v", f)
	}
}

// advertisedBy returns doctor's finding about the addresses that the brokers advertise.
func advertisedBy(t *testing.T, c *pipeline.Config) (f Finding) {
	t.Helper()
	e := examination{config: c, found: func(found Finding) {
		if found.Check == "advertised" {
			f = found
		}
	}}
	e.broker(t.Context())
	return f
}

// TestDoctorTopics: policies and partitions that run would stumble on, and those that
// it takes.
func TestDoctorTopics(t *testing.T) {
	c := settings(t)
	c.Brokers = []string{kafkatest.Fake(t)}
	topics := kafka.TopicsOf(c.TopicPrefix)
	client := kafkatest.Client(t, c.Brokers[0])
	policy := func(value string) []kafkago.ConfigEntry {
		return []kafkago.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: value}}
	}
	if _, err := kafka.EnsureTopics(t.Context(), client, []kafkago.TopicConfig{
		{Topic: topics.Architectures, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: policy("compact")},
		{Topic: topics.Labels, NumPartitions: 3, ReplicationFactor: 1},
		{Topic: topics.Predictions, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: policy("compact,delete")},
		{Topic: topics.DeadLetters, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: policy("compact")},
		{Topic: topics.Models, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: policy("compact")},
	}); err != nil {
		t.Fatal(err)
	}
	found := examine(t, c)
	for topic, want := range map[string]struct{ status, says string }{
		topics.Architectures: {FindingFail, "without a key are refused"},
		topics.Labels:        {FindingOK, "partitions: 3"},
		topics.Predictions:   {FindingWarn, "only the last message of each key stays"},
		topics.DeadLetters:   {FindingWarn, "only the last message of each key stays"},
		topics.Models:        {FindingFail, "2 partitions"},
	} {
		if f := found["topic "+topic]; f.Status != want.status || !strings.Contains(f.Found, want.says) {
			t.Errorf("%+v", f)
		}
	}
}
