package kafkatest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Listeners are the addresses of a server with security, and the secrets for them.
type Listeners struct {
	TLS       string // encrypted
	MutualTLS string // asks for a client's certificate too
	Plain     string // encrypted, SASL PLAIN
	Scram     string // not encrypted, SASL SCRAM-SHA-256 and SCRAM-SHA-512

	CA, Cert, Key  string // PEM files; Cert and Key are the client's
	OtherCA        string // PEM file of an authority that has signed nothing here
	User, Password string
}

// Secure returns the listeners with security of the server of Real. Its files are not
// to be changed.
func Secure(t testing.TB) Listeners {
	t.Helper()
	Real(t)
	return shared.secure
}

// newListeners chooses their addresses; configure makes the certificates and returns
// what newServer adds.
func newListeners() Listeners {
	l := Listeners{User: "alice", Password: "correct horse battery"}
	for _, address := range []*string{&l.TLS, &l.MutualTLS, &l.Plain, &l.Scram} {
		*address = fmt.Sprintf("127.0.0.1:%d", freePort())
	}
	return l
}

func (l *Listeners) configure(dir string) (properties string, format []string, err error) {
	if err := l.certify(dir); err != nil {
		return "", nil, err
	}
	scram := func(mechanism string) string {
		return fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, l.User, l.Password)
	}
	return l.properties(dir), []string{"--add-scram", scram("SCRAM-SHA-256"), "--add-scram", scram("SCRAM-SHA-512")}, nil
}

func (l *Listeners) properties(dir string) string {
	all := fmt.Sprintf(",TLS://%s,MTLS://%s,SASLPLAIN://%s,SASLSCRAM://%s", l.TLS, l.MutualTLS, l.Plain, l.Scram)
	return strings.Join([]string{
		"listeners=" + all, "advertised.listeners=" + all,
		"listener.security.protocol.map=,TLS:SSL,MTLS:SSL,SASLPLAIN:SASL_SSL,SASLSCRAM:SASL_PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT",
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + filepath.Join(dir, "server.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + l.CA,
		"listener.name.mtls.ssl.client.auth=required",
		"listener.name.saslplain.sasl.enabled.mechanisms=PLAIN",
		fmt.Sprintf("listener.name.saslplain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=\"%s\";", l.User, l.Password),
		"listener.name.saslscram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512",
		"connections.max.reauth.ms=2000", // each connection has to authenticate again
		"listener.name.saslscram.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.saslscram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
	}, "\n")
}

// merge adds properties: a value that begins with a comma goes behind the one
// that is there.
func merge(have, more string) string {
	lines := strings.Split(strings.TrimSpace(have), "\n")
	for _, line := range strings.Split(more, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(value, ",") {
			lines = append(lines, line)
			continue
		}
		for i := range lines {
			if strings.HasPrefix(lines[i], name+"=") {
				lines[i] += value
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// certify makes two authorities, and certificates of a server and a client that
// the first has signed.
func (l *Listeners) certify(dir string) error {
	l.CA, l.OtherCA = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "other-ca.pem")
	l.Cert, l.Key = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	authority, err := newCertificate("authority", nil)
	if err != nil {
		return err
	}
	other, err := newCertificate("another authority", nil)
	if err != nil {
		return err
	}
	server, err := newCertificate("server", authority)
	if err != nil {
		return err
	}
	client, err := newCertificate("client", authority)
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{
		l.CA: authority.pem, l.OtherCA: other.pem, l.Cert: client.pem, l.Key: client.keyPEM,
		filepath.Join(dir, "server.pem"): append(append([]byte(nil), server.keyPEM...), server.pem...),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

type certificate struct {
	*x509.Certificate
	key         *ecdsa.PrivateKey
	pem, keyPEM []byte
}

// newCertificate makes a certificate, signed by itself without an authority.
func newCertificate(name string, by *certificate) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &certificate{key: key, Certificate: &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}}
	signer := by
	if by == nil {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
		signer = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c.Certificate, signer.Certificate, &key.PublicKey, signer.key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return c, nil
}

// Guarded starts a server of the caller's own that checks ACLs and returns two addresses
// of it: one for an administrator without a password, one for users with the rights of
// their ACLs, with SASL PLAIN and the password "secret". It ends with the test.
func Guarded(t testing.TB, users ...string) (admin, address string) {
	t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", freePort())
	module := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, user := range users {
		module += fmt.Sprintf(" user_%s=\"secret\"", user)
	}
	server := With(t,
		"listeners=,SASLPLAIN://"+address, "advertised.listeners=,SASLPLAIN://"+address,
		"listener.security.protocol.map=,SASLPLAIN:SASL_PLAINTEXT", "inter.broker.listener.name=PLAINTEXT",
		"listener.name.saslplain.sasl.enabled.mechanisms=PLAIN", "listener.name.saslplain.plain.sasl.jaas.config="+module+";",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS")
	return server.Address, address
}
