package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Connection holds the addresses and secrets for Kafka. Brokers alone is enough for a
// cluster without security. The files are read again for each new connection, so that
// rotated secrets are used from then on. Do not copy it after its first use.
type Connection struct {
	Brokers []string // host:port

	TLS      bool   // encrypt; implied by CAFile and CertFile
	CAFile   string // PEM, instead of the system's authorities
	CertFile string // PEM, for mutual TLS, with KeyFile
	KeyFile  string

	Mechanism    string // of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty for none
	User         string
	Password     string
	PasswordFile string // read instead of Password, its last line ending removed

	// Topics are those whose metadata are asked for; empty means all of the cluster.
	Topics []string

	health health
}

// Client is the library's client. It connects when it is first used.
type Client = kafka.Client

const (
	dialTimeout = 5 * time.Second
	// metadataTTL bounds how long a moved leader goes unnoticed.
	metadataTTL = 2 * time.Second
	clientID    = "archflow"
)

// String names the brokers and never a secret.
func (c *Connection) String() string { return strings.Join(c.Brokers, ",") }

// Client returns a client that connects when it is first used.
func (c *Connection) Client() (*kafka.Client, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker is named: give --brokers HOST:PORT")
	}
	if _, _, err := c.security(); err != nil {
		return nil, err
	}
	return &kafka.Client{
		Addr:    kafka.TCP(anyBroker),
		Timeout: 10 * time.Second,
		Transport: &kafka.Transport{
			Dial:           c.dial,
			DialTimeout:    dialTimeout,
			MetadataTTL:    metadataTTL,
			MetadataTopics: c.Topics,
			ClientID:       clientID,
		},
	}, nil
}

// security reads the files and returns the TLS configuration and the SASL mechanism, nil
// if not wanted.
func (c *Connection) security() (*tls.Config, sasl.Mechanism, error) {
	var secure *tls.Config
	if c.TLS || c.CAFile != "" || c.CertFile != "" {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate authorities: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("certificate authorities: %s holds no certificate in PEM form", c.CAFile)
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, nil, errors.New("mutual TLS needs a certificate and its key: give both files")
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("client certificate %s with key %s: %w", c.CertFile, c.KeyFile, err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	mechanism, err := c.mechanism()
	return secure, mechanism, err
}

// Secret returns the SASL password, from its file if one is named.
func (c *Connection) Secret() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("SASL password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (c *Connection) mechanism() (sasl.Mechanism, error) {
	if c.Mechanism == "" {
		if c.User != "" {
			return nil, errors.New("a user is named but no SASL mechanism: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil, nil
	}
	password, err := c.Secret()
	if err != nil {
		return nil, err
	}
	if c.User == "" || password == "" {
		return nil, fmt.Errorf("SASL %s needs a user and a password (or a file that holds it)", c.Mechanism)
	}
	switch strings.ToUpper(c.Mechanism) {
	case "PLAIN":
		return plain.Mechanism{Username: c.User, Password: password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, c.User, password)
	case "SCRAM-SHA-512":
		return scram.Mechanism(scram.SHA512, c.User, password)
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism)
}
