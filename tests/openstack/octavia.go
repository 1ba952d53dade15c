package openstack

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// BreakLoadBalancer puts a load balancer into ERROR, as a controller that gives one up does: behind Octavia's API.
func BreakLoadBalancer(ctx context.Context, id string) error {
	if err := uuid.Validate(id); err != nil {
		return fmt.Errorf("load balancer %q: %w", id, err)
	}
	return query(ctx, fmt.Sprintf("UPDATE octavia.load_balancer SET provisioning_status = 'ERROR' WHERE id = '%s';", id))
}
