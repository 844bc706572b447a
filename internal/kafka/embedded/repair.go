package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// repair cuts off a batch that the embedded broker was writing when its process was
// killed. The broker writes a batch to a segment (.dat), then an entry to the segment's
// index (.idx), then answers. When it starts, it treats a batch without an entry as one
// outside of any transaction, shows it to readers of committed messages, and gives the
// entries after it to the wrong batches. No client has an acknowledgement of such a
// batch, so it may go.
func repair(data string) error {
	segments, err := filepath.Glob(filepath.Join(data, "partitions", "*", "*.dat"))
	if err != nil {
		return err
	}
	for _, segment := range segments {
		if err := repairSegment(segment); err != nil {
			return fmt.Errorf("repair %s: %w", segment, err)
		}
	}
	return nil
}

// indexEntry is the size of an entry of the index, one for each batch.
const indexEntry = 15

func repairSegment(segment string) error {
	index, err := os.Stat(strings.TrimSuffix(segment, ".dat") + ".idx")
	entries := int64(0)
	switch {
	case err == nil:
		entries = index.Size() / indexEntry
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	f, err := os.OpenFile(segment, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	end := int64(0)
	for range entries {
		var head [12]byte // the first offset, and how many bytes follow
		if _, err := f.ReadAt(head[:], end); errors.Is(err, io.EOF) {
			return nil // the broker drops entries without a batch
		} else if err != nil {
			return err
		}
		end += int64(len(head)) + int64(binary.BigEndian.Uint32(head[8:]))
	}
	if end >= size {
		return nil
	}
	return f.Truncate(end)
}
