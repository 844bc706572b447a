// Package input reads the files that people name: packed or not, line by line, and
// standard input as "-".
package input

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// EachLine calls f with every line of the named files that is not blank, in
// order; "-" is standard input. The line is only valid during the call.
func EachLine(files []string, in io.Reader, limit int, f func(file string, number int, line []byte) error) error {
	for _, name := range files {
		if err := EachLineOf(name, in, limit, f); err != nil {
			return err
		}
	}
	return nil
}

// EachLineOf is EachLine of one file.
func EachLineOf(name string, in io.Reader, limit int, f func(string, int, []byte) error) error {
	source, err := Open(name, in)
	if err != nil {
		return err
	}
	defer source.Close()
	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 1<<16), limit+1)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if len(trimSpace(line)) == 0 {
			continue
		}
		if err := f(name, number, line); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: the line is longer than %d bytes; raise --max-message-bytes, and the broker's limit with it", name, number+1, limit)
	} else if err != nil {
		return fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	return nil
}

// Readable says which of the files cannot be read, before anything else is done.
func Readable(files []string) error {
	for _, name := range files {
		if name == "-" {
			continue
		}
		source, err := Open(name, nil)
		if err != nil {
			return err
		}
		_, err = source.Read(make([]byte, 1))
		source.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// Unpacked reads a file's unpacked content. Close closes it.
type Unpacked struct {
	io.Reader
	close []func()
}

// Close closes the file and its decompressor.
func (u *Unpacked) Close() error {
	for i := len(u.close) - 1; i >= 0; i-- {
		u.close[i]()
	}
	return nil
}

// Open opens a file, unpacks it when its name ends in .gz or .zst, and
// takes "-" for standard input.
func Open(name string, in io.Reader) (*Unpacked, error) {
	u := &Unpacked{Reader: in}
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		u.Reader, u.close = file, append(u.close, func() { file.Close() })
	}
	switch {
	case strings.HasSuffix(name, ".gz"):
		unzipped, err := gzip.NewReader(bufio.NewReaderSize(u.Reader, 1<<16))
		if err != nil {
			u.Close()
			return nil, fmt.Errorf("%s: not gzip: %w", name, err)
		}
		u.Reader, u.close = unzipped, append(u.close, func() { unzipped.Close() })
	case strings.HasSuffix(name, ".zst"):
		unzipped, err := zstd.NewReader(u.Reader, zstd.WithDecoderConcurrency(1))
		if err != nil {
			u.Close()
			return nil, fmt.Errorf("%s: not zstd: %w", name, err)
		}
		u.Reader, u.close = unzipped, append(u.close, unzipped.Close)
	}
	return u, nil
}

// UnpackedName returns the name of a file without the ending for its compression.
func UnpackedName(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
}
