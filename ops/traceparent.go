package ops

import (
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// traceparentLength is that of version 00: 00-<32 hex>-<16 hex>-<2 hex>.
const traceparentLength = 55

// ParseTraceparent reads the W3C traceparent header of a message. It allocates
// nothing; false when the header is absent or broken.
func ParseTraceparent(h []byte) (trace.SpanContext, bool) {
	// Later versions may append fields after another dash.
	if len(h) < traceparentLength || h[2] != '-' || h[35] != '-' || h[52] != '-' ||
		(len(h) > traceparentLength && (h[traceparentLength] != '-' || string(h[:2]) == "00")) || string(h[:2]) == "ff" {
		return trace.SpanContext{}, false
	}
	var version, flags [1]byte
	var c trace.SpanContextConfig
	if !unhex(version[:], h[:2]) || !unhex(c.TraceID[:], h[3:35]) || !unhex(c.SpanID[:], h[36:52]) || !unhex(flags[:], h[53:55]) {
		return trace.SpanContext{}, false
	}
	c.TraceFlags = trace.TraceFlags(flags[0]) & trace.FlagsSampled
	c.Remote = true
	sc := trace.NewSpanContext(c)
	return sc, sc.IsValid()
}

// maybeSampled looks at the last flag only: most messages need no more.
func maybeSampled(h []byte) bool {
	if len(h) < traceparentLength {
		return false
	}
	digit := h[traceparentLength-1]
	if digit >= 'a' {
		digit -= 'a' - 10
	}
	return digit&1 == 1
}

// unhex decodes lower-case hexadecimal digits, the only ones that are legal here.
func unhex(dst, src []byte) bool {
	for _, c := range src {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}

// AppendTraceparent appends the header for a message that continues sc.
func AppendTraceparent(dst []byte, sc trace.SpanContext) []byte {
	id, span := sc.TraceID(), sc.SpanID()
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, id[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, span[:])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, []byte{byte(sc.TraceFlags() & trace.FlagsSampled)})
}
