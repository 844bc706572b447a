package kafka

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// CheckAddress returns an error if the address of a broker is malformed, with the right
// form.
func CheckAddress(address string) error {
	if scheme, rest, found := strings.Cut(address, "://"); found {
		rest, _, _ = strings.Cut(rest, "/")
		switch strings.ToUpper(scheme) {
		case "PLAINTEXT":
			return fmt.Errorf("%q: an address has no protocol in front: write %s", address, rest)
		case "SSL":
			return fmt.Errorf("%q: an address has no protocol in front: write %s, and set tls: true", address, rest)
		case "SASL_PLAINTEXT":
			return fmt.Errorf("%q: an address has no protocol in front: write %s, and set sasl, sasl-user and a password", address, rest)
		case "SASL_SSL":
			return fmt.Errorf("%q: an address has no protocol in front: write %s, and set tls: true, sasl, sasl-user and a password", address, rest)
		}
		return fmt.Errorf("%q is not the address of a Kafka broker, which speaks no %s: write HOST:PORT, for example localhost:9092", address, scheme)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || strings.ContainsAny(address, "/ \t") {
		return fmt.Errorf("%q is not HOST:PORT, for example localhost:9092", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q: %s is not a port: write a number from 1 to 65535, for example localhost:9092", address, port)
	}
	return nil
}
