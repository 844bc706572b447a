package pipeline

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
)

// TestSecureKafka runs the whole pipeline through each kind of listener of an
// Apache Kafka, and is refused by each, with a reason and without a secret, when
// something is wrong.
func TestSecureKafka(t *testing.T) {
	l := kafkatest.Secure(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(l.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tls := func(c *Config) { c.Brokers, c.TLSCA = []string{l.TLS}, l.CA }
	mutual := func(c *Config) { c.Brokers, c.TLSCA, c.TLSCert, c.TLSKey = []string{l.MutualTLS}, l.CA, l.Cert, l.Key }
	plain := func(c *Config) {
		c.Brokers, c.TLSCA, c.SASL, c.SASLUser, c.SASLPassword = []string{l.Plain}, l.CA, "plain", l.User, l.Password
	}
	scram := func(c *Config) {
		c.Brokers, c.SASL, c.SASLUser, c.SASLPasswordFile = []string{l.Scram}, "scram-sha-256", l.User, secret
	}
	for _, way := range []struct {
		name string
		set  func(*Config)
	}{
		{"tls", tls}, {"mutual tls", mutual}, {"plain over tls", plain}, {"scram-sha-256, password in a file", scram},
		{"scram-sha-512", func(c *Config) { scram(c); c.SASL = "scram-sha-512" }},
	} {
		t.Run(way.name, func(t *testing.T) {
			c := settings(t)
			way.set(c)
			c.TopicPrefix = strings.NewReplacer(" ", "-", ",", "").Replace(way.name) + "."
			c.Group, c.HTTP, c.ExitAtEnd = c.TopicPrefix+"g", "off", true
			said := openAndRun(t, c, 20)
			if strings.Contains(said, l.Password) {
				t.Error("the log has the password")
			}
		})
	}
	for _, wrong := range []struct {
		name, says string
		set        func(*Config)
	}{
		{"another authority", "not trusted here", func(c *Config) { tls(c); c.TLSCA = l.OtherCA }},
		{"no tls", "closed the connection", func(c *Config) { tls(c); c.TLSCA = "" }},
		{"tls where there is none", "closed the connection", func(c *Config) { scram(c); c.TLSCA = l.CA }},
		{"no certificate", "certificate", func(c *Config) { mutual(c); c.TLSCert, c.TLSKey = "", "" }},
		{"a wrong password", "user or password refused", func(c *Config) { plain(c); c.SASLPassword = l.Password + "x" }},
		{"a wrong password to scram", "user or password refused", func(c *Config) { scram(c); c.SASLPasswordFile, c.SASLPassword = "", l.Password+"x" }},
		{"a mechanism that is not offered", "choose another mechanism", func(c *Config) { scram(c); c.SASL = "plain" }},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			c := settings(t)
			wrong.set(c)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			// A broker that is busy may be late; it is asked until it says so.
			_, err := c.Connection().Connect(ctx, func(err error) {
				if strings.Contains(err.Error(), wrong.says) {
					cancel()
				}
			})
			if err == nil || !strings.Contains(err.Error(), wrong.says) || strings.Contains(err.Error(), l.Password) {
				t.Errorf("it says: %v", err)
			}
		})
	}
}

// openAndRun feeds candidates and runs to the end; it returns the log.
func openAndRun(t *testing.T, c *Config, candidates int) string {
	t.Helper()
	var log bytes.Buffer
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer report.Shutdown(context.Background())
	dialled, err := Dial(t.Context(), c, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	writer := dialled.Writer(dialled.Topics.Architectures)
	for i := range candidates {
		send(t, writer, chain(i))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.Summary().Predictions; n != int64(candidates) {
		t.Errorf("%d candidates are answered, want %d", n, candidates)
	}
	return log.String()
}

// TestSecretsStayInside: the configuration's secrets are neither in the log nor on a
// page.
func TestSecretsStayInside(t *testing.T) {
	c := settings(t)
	const password, token = "a-password-of-kafka", "a-token-of-http"
	c.HTTP, c.HTTPToken = "0.0.0.0:0", token
	c.SASLPassword = password // of no user: the embedded broker asks for none
	var log bytes.Buffer
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	await(t, func() string {
		if p.ready.assigned() != nil {
			return "not assigned"
		}
		return ""
	})
	_, port, err := net.SplitHostPort(p.server.Address())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/readyz?format=json", "/livez", "/api/state"} {
		body := fetchWith(t, "http://127.0.0.1:"+port+path, token)
		if strings.Contains(body, password) || strings.Contains(body, token) {
			t.Errorf("%s shows a secret", path)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = p.Close()
	_ = report.Shutdown(context.Background())
	if said := log.String(); strings.Contains(said, password) || strings.Contains(said, token) || said == "" {
		t.Errorf("the log: %s", said)
	}
	if text := c.Connection().String(); strings.Contains(text, password) {
		t.Error("the connection names its password")
	}
}

func fetchWith(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode == http.StatusUnauthorized {
		t.Fatalf("%s: %d, %v", url, r.StatusCode, err)
	}
	return string(body)
}
