package encoders

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"archflow/encoders/safetensors"
)

// trunkKind is in the metadata of a trunk's state.
const trunkKind = "archflow trunk 1"

// State returns the trunk as tensors, whose data are views that the next Step changes,
// and metadata: the arguments of safetensors.Write. All names start with "trunk.", so
// that a checkpoint can hold more.
func (t *Trunk) State() (map[string]string, []safetensors.Tensor, error) {
	config, err := json.Marshal(t.config)
	if err != nil {
		return nil, nil, fmt.Errorf("trunk: %w", err)
	}
	operations, err := json.Marshal(t.training.vocabulary.Names())
	if err != nil {
		return nil, nil, fmt.Errorf("trunk: %w", err)
	}
	attributes, err := json.Marshal(t.training.vocabulary.attributes)
	if err != nil {
		return nil, nil, fmt.Errorf("trunk: %w", err)
	}
	random, err := t.training.random.MarshalBinary()
	if err != nil {
		return nil, nil, fmt.Errorf("trunk: %w", err)
	}
	l := &t.training.layout
	tensors := slices.Concat(
		weightTensors("trunk.weight.", l, t.training.weights),
		weightTensors("trunk.mean.", l, t.training.m),
		weightTensors("trunk.square.", l, t.training.v),
		[]safetensors.Tensor{
			{Name: "trunk.random", Shape: []int{len(random)}, Data: random},
			{Name: "trunk.steps", Shape: []int{1}, Data: []int64{t.training.steps}},
			{Name: "trunk.flow.batches", Shape: []int{1}, Data: []float64{t.moments.batches}},
			{Name: "trunk.flow.mean", Shape: []int{len(t.moments.mean)}, Data: t.moments.mean},
			{Name: "trunk.flow.variance", Shape: []int{len(t.moments.variance)}, Data: t.moments.variance},
		})
	metadata := map[string]string{"trunk.kind": trunkKind, "trunk.config": string(config), "trunk.operations": string(operations)}
	if len(t.training.vocabulary.attributes) > 0 {
		metadata["trunk.attributes"] = string(attributes)
	}
	return metadata, tensors, nil
}

// RestoreTrunk returns the trunk whose State this was: every later Step gives
// the same bits. Tensors of other names are ignored; cores is TrunkConfig.Cores.
func RestoreTrunk(metadata map[string]string, tensors []safetensors.Tensor, cores int) (*Trunk, error) {
	if metadata["trunk.kind"] != trunkKind {
		return nil, fmt.Errorf("trunk: state of kind %.40q, want %q", metadata["trunk.kind"], trunkKind)
	}
	var config TrunkConfig
	var operations []string
	if err := json.Unmarshal([]byte(metadata["trunk.config"]), &config); err != nil {
		return nil, fmt.Errorf("trunk configuration: %w", err)
	}
	if err := json.Unmarshal([]byte(metadata["trunk.operations"]), &operations); err != nil {
		return nil, fmt.Errorf("trunk operations: %w", err)
	}
	var attributes []attribute
	if text := metadata["trunk.attributes"]; text != "" {
		if err := json.Unmarshal([]byte(text), &attributes); err != nil {
			return nil, fmt.Errorf("trunk attributes: %w", err)
		}
	}
	config.Cores = cores
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("trunk: %w", err)
	}
	n, weights, err := readNetwork(config.shape(), operations, attributes, "trunk.weight.", tensors)
	if err != nil {
		return nil, fmt.Errorf("trunk: %w", err)
	}
	state, err1 := findTensor[byte](tensors, "trunk.random", len(pcgState))
	steps, err2 := findTensor[int64](tensors, "trunk.steps", 1)
	batches, err3 := findTensor[float64](tensors, "trunk.flow.batches", 1)
	mean, err4 := findTensor[float64](tensors, "trunk.flow.mean", config.K)
	variance, err5 := findTensor[float64](tensors, "trunk.flow.variance", config.K)
	random := new(rand.PCG)
	t := &Trunk{config: config, training: newTraining(n, weights, random, config.LearningRate, config.WeightDecay, cores)}
	if err := errors.Join(err1, err2, err3, err4, err5,
		readSlots("trunk.mean.", &n.layout, t.training.m, tensors),
		readSlots("trunk.square.", &n.layout, t.training.v, tensors)); err != nil {
		return nil, fmt.Errorf("trunk: %w", err)
	}
	if err := random.UnmarshalBinary(state); err != nil {
		return nil, fmt.Errorf("trunk random state: %w", err)
	}
	t.training.steps = steps[0]
	t.moments = moments{batches[0], slices.Clone(mean), slices.Clone(variance)}
	return t, t.takePretext()
}

// pcgState is the length of a marshalled PCG: "pcg:" and two words.
var pcgState [20]byte
