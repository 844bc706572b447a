package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is the embedded Kafka-protocol broker of a data folder: one process
// runs it and the others of the folder use it.
type Broker struct {
	Address string // host:port on the loopback
	Own     bool   // this process runs it
	// Start is a text that is new each time the broker starts. It belongs into
	// transactional ids: after a crash this broker takes an aborted transaction
	// of an id that comes back for a committed one.
	Start string

	cluster *kfake.Cluster
	lock    *os.File
}

// OpenBroker returns the broker of dir/broker, starting it in this process
// when no other runs it. The data survive the death of the process, not that of
// the machine: like Kafka's own, writes reach the disk when the system likes.
func OpenBroker(ctx context.Context, dir string) (*Broker, error) {
	dir = filepath.Join(dir, "broker")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		lock, err := takeLock(filepath.Join(dir, "lock"))
		if err == nil {
			b, err := startBroker(dir)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("embedded broker in %s: %w", dir, err), lock.Close())
			}
			b.lock = lock
			return b, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded broker: lock %s: %w", dir, err)
		}
		// Another process runs it, or is about to.
		b, err := readAddress(dir)
		if err == nil {
			err = b.answers(ctx)
		}
		if err == nil {
			return b, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("embedded broker: another process holds %s but no broker answers there (%w): stop that process, or give another --data", dir, err)
		case <-time.After(pause):
		}
	}
}

func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func startBroker(dir string) (*Broker, error) {
	before, err := readAddress(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		before = &Broker{}
	}
	b := &Broker{Own: true, Start: strings.ToLower(rand.Text()[:8])}
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("archflow"),
		kfake.DataDir(filepath.Join(dir, "data")),
		kfake.DefaultNumPartitions(DefaultPartitions),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.WithLogger(brokerLog{}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			// The port of last time, so that clients that wait find it again.
			if before != nil && before.Address != "" {
				if l, err := net.Listen(network, before.Address); err == nil {
					return l, nil
				}
			}
			return net.Listen(network, "127.0.0.1:0")
		}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":           "604800000",
			"message.max.bytes":          "1048588",
			"log.segment.bytes":          "67108864",
			"default.replication.factor": "1",
		}),
	)
	if err != nil {
		return nil, err
	}
	b.Address = b.cluster.ListenAddrs()[0]
	if err := writeAddress(dir, b); err != nil {
		b.cluster.Close()
		return nil, err
	}
	return b, nil
}

// Close stops the broker if this process runs it.
func (b *Broker) Close() error {
	if !b.Own {
		return nil
	}
	b.cluster.Close()
	return b.lock.Close()
}

func (b *Broker) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&kafka.Dialer{}).DialContext(ctx, "tcp", b.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = conn.ApiVersions()
	return err
}

// The file "address" holds one line: the address and the start.

func readAddress(dir string) (*Broker, error) {
	text, err := os.ReadFile(filepath.Join(dir, "address"))
	if err != nil {
		return nil, err
	}
	address, start, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); !ok || err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is damaged", filepath.Join(dir, "address"))
	}
	return &Broker{Address: address, Start: start}, nil
}

func writeAddress(dir string, b *Broker) error {
	path := filepath.Join(dir, "address")
	if err := os.WriteFile(path+".new", []byte(b.Address+" "+b.Start+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// brokerLog passes what the broker complains about on to the log.
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
