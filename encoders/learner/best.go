package learner

import (
	"context"

	"archflow/encoders"
)

func (l *Learner) fitBest(ctx context.Context, ready []*fitted) (members []*encoders.Member, tasks []encoders.Task, err error) {
	return l.fitPublished(ctx, ready)
}
