// Package kafkatest starts the brokers that tests of the Kafka sinks and
// sources run against: a fake in the process for the fast ones, and a real
// Apache Kafka.
package kafkatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Fake starts a broker in the process and returns its address.
func Fake(t testing.TB, options ...kfake.Opt) string {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}, options...)
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal("fake broker:", err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

// server is the one real broker of the test process. It ends with the process,
// at the latest when Main has run the tests.
var server struct {
	once    sync.Once
	address string
	err     error
	missing bool // the machine lacks a part, rather than the server being broken
	stop    func()
}

// Main runs the tests and then stops the broker that they started. A package
// that uses Real calls it as its TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	os.Exit(code)
}

// Real returns the address of an Apache Kafka that all tests of the process
// share, starting it at the first call; topics and groups need names of their
// own. Without Java or Kafka's files the test is left out, which is a failure
// where CI=true.
func Real(t testing.TB) string {
	t.Helper()
	server.once.Do(func() { server.address, server.stop, server.err = start() })
	if server.err == nil {
		return server.address
	}
	if server.missing && os.Getenv("CI") != "true" {
		t.Skip("left out, for want of Apache Kafka: ", server.err)
	}
	t.Fatal("Apache Kafka: ", server.err)
	return ""
}

// Client returns a client of the broker at an address.
func Client(t testing.TB, address string) *kafka.Client {
	transport := &kafka.Transport{MetadataTTL: time.Second, ClientID: "test"}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 10 * time.Second, Transport: transport}
}

// Topics creates topics that are absent with a number of partitions each and
// waits until the client knows them.
func Topics(t testing.TB, client *kafka.Client, partitions int, names ...string) {
	t.Helper()
	request := &kafka.CreateTopicsRequest{Addr: client.Addr}
	for _, name := range names {
		request.Topics = append(request.Topics, kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
	}
	response, err := client.CreateTopics(t.Context(), request)
	if err != nil {
		t.Fatal("create topics:", err)
	}
	for name, err := range response.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			t.Fatalf("create topic %s: %v", name, err)
		}
	}
}

func start() (address string, stop func(), err error) {
	java, err := exec.LookPath("java")
	if err != nil {
		server.missing = true
		return "", nil, errors.New("no java: install a JDK (17 or later), then run .ci/kafka.sh")
	}
	_, file, _, _ := runtime.Caller(0)
	lib := filepath.Join(filepath.Dir(file), "..", "..", ".tools", "kafka", "lib")
	if _, err := os.Stat(filepath.Join(lib, "..", "complete")); err != nil {
		server.missing = true
		return "", nil, errors.New("run .ci/kafka.sh, which fetches it with Maven")
	}
	dir, err := os.MkdirTemp("", "archflow-kafka-")
	if err != nil {
		return "", nil, err
	}
	clean := func() { _ = os.RemoveAll(dir) }
	broker, controller := freePort(), freePort()
	address = fmt.Sprintf("127.0.0.1:%d", broker)
	files := map[string]string{
		"server.properties": fmt.Sprintf(properties, controller, broker, controller, broker, dir),
		"log4j2.yaml":       logging,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			clean()
			return "", nil, err
		}
	}
	class := filepath.Join(lib, "*") + string(os.PathListSeparator) + dir
	format := exec.Command(java, "-cp", class, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", filepath.Join(dir, "server.properties"))
	if out, err := format.CombinedOutput(); err != nil {
		clean()
		return "", nil, fmt.Errorf("format: %w: %s", err, out)
	}
	var output bytes.Buffer
	run := exec.Command(java, "-Xmx512m", "-cp", class, "-Dlog4j2.configurationFile="+filepath.Join(dir, "log4j2.yaml"), "kafka.Kafka", filepath.Join(dir, "server.properties"))
	run.Stdout, run.Stderr = &output, &output
	run.SysProcAttr = dieWithParent()
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// The kernel ends the child with the thread that started it.
		runtime.LockOSThread()
		err := run.Start()
		started <- err
		if err == nil {
			ended <- run.Wait()
		}
	}()
	if err := <-started; err != nil {
		clean()
		return "", nil, err
	}
	stop = func() {
		_ = run.Process.Signal(syscall.SIGKILL)
		<-ended
		clean()
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-ended:
			clean()
			return "", nil, fmt.Errorf("it ended: %w: %s", err, tail(output.String()))
		default:
		}
		if answers(address) {
			return address, stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("no answer after 60 s: %s", tail(output.String()))
		}
	}
}

func answers(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := (&kafka.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	brokers, err := conn.Brokers()
	return err == nil && len(brokers) == 1
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%d
listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://127.0.0.1:%d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%s/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
num.partitions=1
auto.create.topics.enable=false
`

const logging = `Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%p %m%n"
  Loggers:
    Root:
      level: error
      AppenderRef:
        ref: out
`
