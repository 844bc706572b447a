package sinks

import (
	"bytes"
	"context"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// memory is a bucket that is fast enough for thousands of crashes.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (m *memory) Read(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(body), nil
}

func (m *memory) Stat(ctx context.Context, key string) (Object, error) {
	body, err := m.Read(ctx, key)
	return Object{Key: key, Size: int64(len(body)), Modified: time.Now()}, err
}

func (m *memory) Write(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = bytes.Clone(data)
	return nil
}

func (m *memory) Create(ctx context.Context, key string, data []byte) error {
	if _, err := m.Stat(ctx, key); err == nil {
		return fs.ErrExist
	}
	return m.Write(ctx, key, data)
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

func (m *memory) List(_ context.Context, prefix, after string) iter.Seq2[Object, error] {
	m.mu.Lock()
	keys := slices.Sorted(maps.Keys(m.objects))
	m.mu.Unlock()
	return func(yield func(Object, error) bool) {
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after && !yield(Object{Key: k, Size: 1, Modified: time.Now()}, nil) {
				return
			}
		}
	}
}

func (m *memory) URL() string { return "memory" }

func (m *memory) Close() error { return nil }
