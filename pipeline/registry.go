package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	By      string                   `json:"by,omitempty"` // byOperator, or empty for a trainer
	Spaces  map[string]SpaceManifest `json:"spaces"`
}

// SpaceManifest is the champion of a space and the tasks that it cannot answer yet. It
// is also the value of a message on the models topic, whose key is the space.
type SpaceManifest struct {
	Space    string `json:"space"`
	Registry int64  `json:"registry"`
	ModelFile
	Waiting map[string]string `json:"waiting,omitempty"` // task -> why it is unanswered
	// Trained is the model that the trainer promoted last, while an operator has pinned
	// another; nil while the two are the same.
	Trained *ModelFile `json:"trained,omitempty"`

	record *modelRecord // of a model that is published, to lie beside it
}

// ModelFile says where the store has a model.
type ModelFile struct {
	Model string   `json:"model,omitempty"` // such as "nb201/17"
	File  string   `json:"file,omitempty"`  // key in the store
	Tasks []string `json:"tasks,omitempty"`
}

func (m *SpaceManifest) pinned() bool { return m.Trained != nil }

// trained is the model that would answer without a pin.
func (m *SpaceManifest) trained() ModelFile {
	if m.pinned() {
		return *m.Trained
	}
	return m.ModelFile
}

// byOperator marks the generations that no trainer made.
const byOperator = "operator"

// Registry gives generations to the predict stage and publishes new ones. It is
// safe for concurrent use.
type Registry struct {
	store sinks.Bucket

	mu      sync.Mutex
	newest  *stages.ModelSet
	known   map[int64]*stages.ModelSet
	files   map[string]*encoders.Model
	current Manifest
	last    int64  // newest version that the store has, be it damaged
	damage  string // why the newest version does not answer; "" when it does
}

// Damage says why a version does not answer although the store has it: it, or a
// model of it, is damaged or missing, and the one before answers. It is "" when all
// is well.
func (r *Registry) Damage() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.damage
}

// OpenRegistry reads the newest generation of the store, if there is one.
func OpenRegistry(ctx context.Context, store sinks.Bucket) (*Registry, error) {
	r := &Registry{store: store, known: map[int64]*stages.ModelSet{}, files: map[string]*encoders.Model{}}
	r.newest = noModels
	r.current.Spaces = map[string]SpaceManifest{}
	return r, r.Refresh(ctx, 0)
}

// noModels is the generation before the first model, version 0.
var noModels = &stages.ModelSet{}

// ModelSet returns the generation of a version, or of schemas.NewestRegistry.
func (r *Registry) ModelSet(ctx context.Context, version int64) (*stages.ModelSet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch version {
	case schemas.NewestRegistry, r.newest.Version:
		return r.newest, nil
	case noModels.Version:
		return noModels, nil
	}
	g, err := r.load(ctx, version)
	for before := version - 1; damaged(err) && before > noModels.Version; before-- {
		// Rows that the table still lacks of that version are answered by another.
		g, err = r.load(ctx, before)
	}
	return g, err
}

// Model returns a model that the newest generation answers with, by its file.
func (r *Registry) Model(file string) *encoders.Model {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[file]
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
	return r.refresh(ctx)
}

func (r *Registry) refresh(ctx context.Context) error {
	last := r.last
	for object, err := range r.store.List(ctx, registryFolder, registryKey(last)) {
		if err != nil {
			return fmt.Errorf("read the registry of the store: %w", err)
		}
		if _, err := fmt.Sscanf(object.Key, registryFolder+"%d.json", &last); err != nil {
			return fmt.Errorf("the store has %s, which no registry wrote: remove it", object.Key)
		}
	}
	if last == r.last {
		return nil
	}
	generation, damage, err := r.newestWhole(ctx, last)
	if err != nil {
		return err
	}
	r.newest, r.last, r.damage = generation, last, damage
	return nil
}

// newestWhole returns the newest generation up to a version that can be loaded. As
// with checkpoints, a damaged one is left where it is and reported, and the one
// before it answers.
func (r *Registry) newestWhole(ctx context.Context, last int64) (_ *stages.ModelSet, damage string, err error) {
	for version := last; version > r.newest.Version; version-- {
		g, err := r.load(ctx, version)
		if err == nil {
			return g, damage, nil
		}
		if !damaged(err) && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		if damage == "" {
			damage = fmt.Sprintf("%s is refused: %v; an older version answers until the trainer has published its next model, or restore what is damaged from a back-up", registryKey(version), err)
		}
	}
	return r.newest, damage, nil
}

// load reads a generation and the models that are not at hand.
func (r *Registry) load(ctx context.Context, version int64) (*stages.ModelSet, error) {
	if g := r.known[version]; g != nil {
		return g, nil
	}
	m, err := r.read(ctx, version)
	if err != nil {
		return nil, err
	}
	g := &stages.ModelSet{Version: version, Spaces: map[schemas.Symbol]*stages.Champion{}}
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

func (r *Registry) read(ctx context.Context, version int64) (m Manifest, err error) {
	text, err := r.store.Read(ctx, registryKey(version))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("version %d of the model registry: %w: the group has it, this store does not; give --store as its other processes do, or restore what was removed", version, err)
	}
	if err != nil {
		return m, fmt.Errorf("version %d of the model registry: %w", version, err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, errDamaged{fmt.Errorf("version %d of the model registry is damaged: %w", version, err)}
	}
	return m, nil
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
	model, err := r.model(ctx, s.File)
	if err != nil {
		return nil, err
	}
	return stages.NewChampion(model, waiting)
}

// model returns the model of a file, from the store if it is not at hand.
func (r *Registry) model(ctx context.Context, file string) (*encoders.Model, error) {
	if model := r.files[file]; model != nil {
		return model, nil
	}
	data, err := r.store.Read(ctx, file)
	if err != nil {
		return nil, err
	}
	model, err := encoders.ReadModel(bytes.NewReader(data))
	if err != nil {
		return nil, errDamaged{fmt.Errorf("%s: %w", file, err)}
	}
	r.files[file] = model
	return model, nil
}

// Trained returns the model that the trainer promoted last for a space, whatever
// an operator lets answer; nil before the first.
func (r *Registry) Trained(ctx context.Context, space string) (*encoders.Model, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.current.Spaces[space]
	file := m.trained().File
	if file == "" {
		return nil, nil
	}
	return r.model(ctx, file)
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

// Publish stores a model, if there is a new one, and the next version of the registry
// with the entry s of its space. The model answers from then on, unless an operator has
// pinned another: then it waits for the release. Publish fails with ErrReplaced when
// another trainer has published since the last look; it takes over the choices of
// operators.
func (r *Registry) Publish(ctx context.Context, s SpaceManifest, model *encoders.Model) (SpaceManifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var made ModelFile
	if model != nil {
		made = ModelFile{Model: model.Name(), File: modelsFolder + model.Name() + ".safetensors"}
		for _, task := range model.Tasks {
			made.Tasks = append(made.Tasks, task.Name)
		}
		var file bytes.Buffer
		if err := model.Write(&file); err != nil {
			return s, err
		}
		if err := r.store.Write(ctx, made.File, file.Bytes()); err != nil {
			return s, fmt.Errorf("store model %s: %w", made.Model, err)
		}
		r.files[made.File] = model
		if s.record != nil {
			text, err := json.Marshal(s.record)
			if err == nil {
				err = r.store.Write(ctx, recordKey(made.Model), text)
			}
			if err != nil {
				return s, fmt.Errorf("store what is known of model %s: %w", made.Model, err)
			}
		}
	}
	return r.next(ctx, s.Space, "", func(m *SpaceManifest) error {
		m.Waiting = s.Waiting
		switch {
		case model == nil:
		case m.pinned():
			m.Trained = &made
		default:
			m.ModelFile = made
		}
		return nil
	})
}

// next stores the version after the newest, with change made to one space.
func (r *Registry) next(ctx context.Context, space, by string, change func(*SpaceManifest) error) (SpaceManifest, error) {
	for {
		m := r.current.Spaces[space]
		next := Manifest{Version: max(r.newest.Version, r.last) + 1, Time: time.Now().UTC(), By: by, Spaces: maps.Clone(r.current.Spaces)}
		m.Space, m.Registry = space, next.Version
		if err := change(&m); err != nil {
			return m, err
		}
		next.Spaces[space] = m
		text, err := json.MarshalIndent(next, "", "  ")
		if err != nil {
			return m, err
		}
		err = r.store.Create(ctx, registryKey(next.Version), text)
		if err == nil {
			g, err := r.load(ctx, next.Version)
			if err == nil {
				r.newest, r.last, r.damage = g, next.Version, ""
			}
			return m, err
		}
		if !errors.Is(err, fs.ErrExist) {
			return m, fmt.Errorf("store version %d of the model registry: %w", next.Version, err)
		}
		if err := r.follow(ctx, by); err != nil {
			return m, err
		}
	}
}

// follow takes over the versions that others have published since. A trainer may follow
// operators, not another trainer; an operator follows everybody.
func (r *Registry) follow(ctx context.Context, by string) error {
	before := max(r.newest.Version, r.last)
	if by == byOperator {
		return r.refresh(ctx)
	}
	for object, err := range r.store.List(ctx, registryFolder, registryKey(before)) {
		if err != nil {
			return fmt.Errorf("read the registry of the store: %w", err)
		}
		var version int64
		if _, err := fmt.Sscanf(object.Key, registryFolder+"%d.json", &version); err != nil {
			continue // refresh names it
		}
		m, err := r.read(ctx, version)
		if err != nil {
			return err
		}
		if m.By != byOperator {
			return ErrReplaced
		}
	}
	return r.refresh(ctx)
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

func recordKey(model string) string { return modelsFolder + model + ".json" }
