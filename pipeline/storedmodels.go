package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StoredModel is a model that the store keeps.
type StoredModel struct {
	Name     string // such as nb201/17
	Modified time.Time
}

// Models lists the stored models of a space, the newest first.
func (r *Registry) Models(ctx context.Context, space string) ([]StoredModel, error) {
	var list []StoredModel
	for object, err := range r.store.List(ctx, modelsFolder+space+"/", "") {
		if err != nil {
			return nil, fmt.Errorf("list the models of the store: %w", err)
		}
		if name, ok := strings.CutSuffix(strings.TrimPrefix(object.Key, modelsFolder), ".safetensors"); ok {
			list = append(list, StoredModel{name, object.Modified})
		}
	}
	slices.SortFunc(list, func(a, b StoredModel) int { return number(b.Name) - number(a.Name) })
	return list, nil
}

// number is the 17 of nb201/17.
func number(model string) int {
	n, err := strconv.Atoi(model[strings.LastIndexByte(model, '/')+1:])
	if err != nil {
		return -1
	}
	return n
}
