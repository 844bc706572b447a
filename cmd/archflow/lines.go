package main

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

// eachLine calls f with every line of the named files that is not blank, in
// order; "-" is standard input. The line is only valid during the call.
func eachLine(files []string, in io.Reader, limit int, f func(file string, number int, line []byte) error) error {
	for _, name := range files {
		if err := eachLineOf(name, in, limit, f); err != nil {
			return err
		}
	}
	return nil
}

func eachLineOf(name string, in io.Reader, limit int, f func(string, int, []byte) error) error {
	source := in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		source = file
	}
	switch {
	case strings.HasSuffix(name, ".gz"):
		unzipped, err := gzip.NewReader(bufio.NewReaderSize(source, 1<<16))
		if err != nil {
			return fmt.Errorf("%s: not gzip: %w", name, err)
		}
		defer unzipped.Close()
		source = unzipped
	case strings.HasSuffix(name, ".zst"):
		unpacked, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("%s: not zstd: %w", name, err)
		}
		defer unpacked.Close()
		source = unpacked
	}
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

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}
