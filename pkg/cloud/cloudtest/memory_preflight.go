package cloudtest

import (
	"context"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Preflight implements cloud.Preflight: a cloud in memory has no credentials to lose. It reports what its Ping says.
func (m *Memory) Preflight(ctx context.Context, _ cloud.Use) []cloud.Finding {
	if err := m.Ping(ctx); err != nil {
		return []cloud.Finding{{Check: "credentials", Level: cloud.LevelError, Message: err.Error()}}
	}
	return []cloud.Finding{{Check: "credentials", Level: cloud.LevelOK, Message: "a cloud in memory asks for none"}}
}
