package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"archflow/internal/kafka"
)

// Broker is the embedded Kafka-protocol broker of a data folder: one process
// runs it and the others of the folder use it. When that process goes, another
// of them runs it on, at the same address.
type Broker struct {
	Address string // HOST:PORT by which this machine reaches it

	dir   string
	at    At
	leave context.CancelFunc // ends the wait for the place of the owner
	left  chan struct{}      // closed when that wait has ended; nil for the first owner

	mu    sync.Mutex
	owned *owned // nil while another process runs the broker
}

// owned is the broker of the process that runs it.
type owned struct {
	cluster *kfake.Cluster
	lock    folderLock
	address string
	start   string
}

// Own says that this process runs the broker.
func (b *Broker) Own() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owned != nil
}

// Start returns a text that is new each time the broker starts. It belongs into
// transactional ids: after a crash this broker takes an aborted transaction of
// an id that comes back for a committed one.
func (b *Broker) Start() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owned != nil {
		return b.owned.start
	}
	_, start, err := readAddress(b.dir)
	if err != nil {
		return "gone" // the caller's next request fails
	}
	return start
}

// At says where a broker listens and who may use it. The zero value is a free port
// of the loopback, the one of last time if that is free, for everybody on this
// machine.
type At struct {
	Listen    string // HOST:PORT; without a host on all addresses, by the machine's name
	Mechanism string // of SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none
	User      string
	Password  string
}

// Exists reports whether a broker has run in a data folder.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "broker"))
	return err == nil
}

// Open returns the broker of dir/broker, starting it in this process, at the given
// address, when no other runs it. The data survive the death of the process, not that of
// the machine: like Kafka's own, writes reach the disk when the system likes.
func Open(ctx context.Context, dir string, at At) (*Broker, error) {
	dir = filepath.Join(dir, "broker")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for backoff := kafka.BackoffBetween(20*time.Millisecond, 500*time.Millisecond); ; {
		lock, err := takeLock(filepath.Join(dir, "lock"))
		if err == nil {
			own, err := startBroker(dir, lock, "", at)
			if err != nil {
				return nil, fmt.Errorf("embedded broker in %s: %w", dir, err)
			}
			return &Broker{Address: own.address, dir: dir, at: at, leave: func() {}, owned: own}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded broker: lock %s: %w", dir, err)
		}
		// Another process runs it, or is about to.
		address, _, err := readAddress(dir)
		if err == nil {
			err = answers(ctx, address)
		}
		if err == nil {
			b := &Broker{Address: address, dir: dir, at: at, left: make(chan struct{})}
			var waiting context.Context
			waiting, b.leave = context.WithCancel(context.WithoutCancel(ctx))
			go b.succeed(waiting)
			return b, nil
		}
		if backoff.Wait(ctx) != nil {
			return nil, fmt.Errorf("embedded broker: another process holds %s but no broker answers there (%w): stop that process, or give another --data", dir, err)
		}
	}
}

// succeed runs the broker on when the process that runs it has gone.
func (b *Broker) succeed(ctx context.Context) {
	defer close(b.left)
	tick := time.NewTicker(succession)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lock, err := takeLock(filepath.Join(b.dir, "lock"))
		if err != nil {
			continue // it lives
		}
		own, err := startBroker(b.dir, lock, b.Address, b.at)
		if err != nil {
			slog.Warn("cannot run the embedded broker on; trying again", "folder", b.dir, "error", err)
			continue
		}
		slog.Info("the process with the embedded broker has gone; this one runs it on", "address", own.address)
		b.mu.Lock()
		b.owned = own
		b.mu.Unlock()
		return
	}
}

// succession is how often a process looks whether the owner is gone.
const succession = 200 * time.Millisecond

// startBroker starts the broker of a locked folder. Without at.Listen it does so
// at an address, or, without one, where it was the last time if that is free. It
// takes over the lock.
func startBroker(dir string, lock folderLock, address string, at At) (_ *owned, err error) {
	listen := listener{address: address, fixed: address != "", at: at}
	if !listen.fixed {
		listen.address, _, _ = readAddress(dir) // a folder that is new or damaged has none
	}
	b := &owned{lock: lock, start: strings.ToLower(rand.Text()[:8])}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	data := filepath.Join(dir, "data")
	if err := repair(data); err != nil {
		return nil, err
	}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("archflow"),
		kfake.DataDir(data),
		kfake.DefaultNumPartitions(kafka.DefaultPartitions),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.WithLogger(brokerLog{}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			opened, err := listen.open(network)
			if err != nil {
				return nil, err
			}
			return patientListener{opened}, nil
		}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":           "604800000",
			"message.max.bytes":          "1048588",
			"log.segment.bytes":          "16777216", // a start reads each whole
			"default.replication.factor": "1",
		}),
	}
	if at.Mechanism != "" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(strings.ToUpper(at.Mechanism), at.User, at.Password))
	}
	if b.cluster, err = kfake.NewCluster(options...); err != nil {
		return nil, err
	}
	b.address = listen.local
	return b, writeAddress(dir, b)
}

// Close stops the broker if this process runs it.
func (b *Broker) Close() error {
	b.leave()
	if b.left != nil {
		<-b.left
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owned == nil {
		return nil
	}
	return b.owned.close()
}

func (b *owned) close() error {
	if b.cluster != nil {
		b.cluster.Close()
	}
	return b.lock.Close()
}

func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&kafkago.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = conn.ApiVersions()
	return err
}

// Address returns where the broker of a data folder was last, which is where it
// is if it runs.
func Address(dir string) (string, error) {
	address, _, err := readAddress(filepath.Join(dir, "broker"))
	return address, err
}

// The file "address" holds one line: the address and the start.

func readAddress(dir string) (address, start string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "address"))
	if err != nil {
		return "", "", err
	}
	address, start, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	host, _, err := net.SplitHostPort(address)
	if !ok || err != nil || host == "" {
		return "", "", fmt.Errorf("%s is damaged", filepath.Join(dir, "address"))
	}
	return address, start, nil
}

func writeAddress(dir string, b *owned) error {
	path := filepath.Join(dir, "address")
	if err := os.WriteFile(path+".new", []byte(b.address+" "+b.start+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// brokerLog passes the broker's complaints on to the log.
type brokerLog struct{}

// Logf implements kfake.Logger.
func (brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		slog.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		slog.Debug("embedded broker: " + fmt.Sprintf(format, args...))
	}
}
