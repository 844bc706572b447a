package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"sync"
	"time"

	"archflow/encoders"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// The registry lives in the store. registry/VERSION.json lists the champion of
// every space at one time; it is created only if absent, so that two trainers
// can never both make the same version: the one that comes second knows that it
// was replaced. models/SPACE/NUMBER.safetensors holds a model.
const (
	registryFolder = "registry/"
	modelsFolder   = "models/"
	keptVersions   = 8 // generations a process holds for replays
)

// Manifest is a generation as it is stored.
type Manifest struct {
	Version int64                    `json:"version"`
	Time    time.Time                `json:"time"`
	Spaces  map[string]SpaceManifest `json:"spaces"`
}

// SpaceManifest is the champion of a space and what it cannot answer yet. It is
// also the value of a message on the models topic, whose key is the space.
type SpaceManifest struct {
	Space    string            `json:"space"`
	Registry int64             `json:"registry"`
	Model    string            `json:"model,omitempty"` // such as "nb201/17"
	File     string            `json:"file,omitempty"`  // key in the store
	Tasks    []string          `json:"tasks,omitempty"`
	Waiting  map[string]string `json:"waiting,omitempty"` // task -> why it is unanswered
}

// Registry gives generations to the predict stage and publishes new ones. It is
// safe for concurrent use.
type Registry struct {
	store sinks.Bucket

	mu      sync.Mutex
	newest  *stages.Generation
	known   map[int64]*stages.Generation
	files   map[string]*encoders.Model
	current Manifest
}

// OpenRegistry reads the newest generation of the store, if there is one.
func OpenRegistry(ctx context.Context, store sinks.Bucket) (*Registry, error) {
	r := &Registry{store: store, known: map[int64]*stages.Generation{}, files: map[string]*encoders.Model{}}
	r.newest = &stages.Generation{Spaces: map[schemas.Symbol]*stages.Champion{}}
	r.current.Spaces = map[string]SpaceManifest{}
	return r, r.Refresh(ctx, 0)
}

// Generation returns the generation of a version, the newest for 0.
func (r *Registry) Generation(ctx context.Context, version int64) (*stages.Generation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if version == 0 || version == r.newest.Version {
		return r.newest, nil
	}
	return r.load(ctx, version)
}

// Manifest returns the newest generation as it is stored.
func (r *Registry) Manifest() Manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Refresh makes the newest generation of the store the current one, unless the
// current one is already at least as new as version.
func (r *Registry) Refresh(ctx context.Context, version int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if version > 0 && version <= r.newest.Version {
		return nil
	}
	last := r.newest.Version
	for object, err := range r.store.List(ctx, registryFolder, registryKey(last)) {
		if err != nil {
			return fmt.Errorf("read the registry of the store: %w", err)
		}
		if _, err := fmt.Sscanf(object.Key, registryFolder+"%d.json", &last); err != nil {
			return fmt.Errorf("the store has %s, which no registry wrote: remove it", object.Key)
		}
	}
	if last == r.newest.Version {
		return nil
	}
	generation, err := r.load(ctx, last)
	if err != nil {
		return err
	}
	r.newest = generation
	return nil
}

// load reads a generation and the models that are not at hand.
func (r *Registry) load(ctx context.Context, version int64) (*stages.Generation, error) {
	if g := r.known[version]; g != nil {
		return g, nil
	}
	text, err := r.store.Read(ctx, registryKey(version))
	if err != nil {
		return nil, fmt.Errorf("version %d of the model registry: %w", version, err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("version %d of the model registry is damaged: %w", version, err)
	}
	g := &stages.Generation{Version: version, Spaces: map[schemas.Symbol]*stages.Champion{}}
	for name, s := range m.Spaces {
		champion, err := r.champion(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("version %d of the model registry, space %s: %w", version, name, err)
		}
		space, err := schemas.Intern(name)
		if err != nil {
			return nil, err
		}
		g.Spaces[space] = champion
	}
	r.known[version] = g
	r.forget()
	if version > r.current.Version {
		r.current = m
	}
	return g, nil
}

func (r *Registry) champion(ctx context.Context, s SpaceManifest) (*stages.Champion, error) {
	var waiting []stages.Waiting
	for _, task := range sortedKeys(s.Waiting) {
		name, err := schemas.Intern(task)
		if err != nil {
			return nil, err
		}
		reason, err := schemas.Intern(task + ": " + s.Waiting[task])
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, stages.Waiting{Task: name, Reason: reason})
	}
	if s.File == "" {
		return stages.NewChampion(nil, waiting)
	}
	model := r.files[s.File]
	if model == nil {
		data, err := r.store.Read(ctx, s.File)
		if err != nil {
			return nil, err
		}
		if model, err = encoders.ReadModel(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		r.files[s.File] = model
	}
	return stages.NewChampion(model, waiting)
}

// forget drops the oldest generations and the models that none of the others
// uses.
func (r *Registry) forget() {
	versions := make([]int64, 0, len(r.known))
	for v := range r.known {
		versions = append(versions, v)
	}
	sort.Slice(versions, func(i, j int) bool { return versions[i] > versions[j] })
	used := map[*encoders.Model]bool{}
	for i, v := range versions {
		if i >= keptVersions {
			delete(r.known, v)
			continue
		}
		for _, c := range r.known[v].Spaces {
			used[c.Model] = true
		}
	}
	for file, m := range r.files {
		if !used[m] {
			delete(r.files, file)
		}
	}
}

// ErrReplaced says that another trainer has published meanwhile.
var ErrReplaced = errors.New("another trainer of the group has taken over")

// Publish stores a model, if there is a new one, and the next version of the
// registry with s in the place of its space. It fails with ErrReplaced when
// another trainer has published since this one last looked.
func (r *Registry) Publish(ctx context.Context, s SpaceManifest, model *encoders.Model) (SpaceManifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := Manifest{Version: r.newest.Version + 1, Time: time.Now().UTC(), Spaces: map[string]SpaceManifest{}}
	for name, other := range r.current.Spaces {
		next.Spaces[name] = other
	}
	if model != nil {
		s.File = modelsFolder + s.Model + ".safetensors"
		var file bytes.Buffer
		if err := model.Write(&file); err != nil {
			return s, err
		}
		if err := r.store.Write(ctx, s.File, file.Bytes()); err != nil {
			return s, fmt.Errorf("store model %s: %w", s.Model, err)
		}
		r.files[s.File] = model
	}
	s.Registry = next.Version
	next.Spaces[s.Space] = s
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return s, err
	}
	if err := r.store.Create(ctx, registryKey(next.Version), text); errors.Is(err, fs.ErrExist) {
		return s, ErrReplaced
	} else if err != nil {
		return s, fmt.Errorf("store version %d of the model registry: %w", next.Version, err)
	}
	r.newest, err = r.load(ctx, next.Version)
	return s, err
}

func registryKey(version int64) string { return fmt.Sprintf("%s%020d.json", registryFolder, version) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// serving tells metrics and the page which models answer now.
func (p *Process) serving(ctx context.Context) {
	g, err := p.registry.Generation(ctx, 0)
	if err != nil {
		return // the caller of Refresh has said so
	}
	for name, m := range p.registry.Manifest().Spaces {
		space, err := schemas.Intern(name)
		if err != nil || m.File == "" {
			continue
		}
		champion := g.Spaces[space]
		if champion == nil || champion.Model == nil {
			continue
		}
		made := time.Now()
		if file, err := p.store.Stat(ctx, m.File); err == nil {
			made = file.Modified
		}
		p.report.Metrics.Model(name, champion.Model.Version, made)
		p.board.serves(name, champion.Model.Version, made, champion.Model)
	}
}
