package ccm

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

// flown is what the cloud was asked to check.
type flown struct {
	*cloudtest.Memory
	use *cloud.Use
}

func (f flown) Preflight(ctx context.Context, use cloud.Use) []cloud.Finding {
	*f.use = use
	return f.Memory.Preflight(ctx, use)
}

func TestPreflightIsAboutTheControllersThatRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want cloud.Use
	}{
		{"all of them", nil, cloud.Use{LoadBalancers: true}},
		{"with what is configured", []string{"--floating-network-id=public", "--subnet-id=s1", "--network-id=n1"},
			cloud.Use{LoadBalancers: true, FloatingNetwork: "public", Subnet: "s1", Network: "n1"}},
		{"without the service controller", []string{"--controllers=*,-service-lb-controller"}, cloud.Use{}},
		{"without it by its old name", []string{"--controllers=*,-service"}, cloud.Use{}},
		{"the nodes' only", []string{"--controllers=cloud-node"}, cloud.Use{}},
		{"it alone", []string{"--controllers=service"}, cloud.Use{LoadBalancers: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked cloud.Use
			cloud.Register(ProviderName, func(context.Context, cloud.Config) (cloud.Cloud, error) {
				return flown{cloudtest.NewMemory(cloudtest.MemoryOptions{}), &asked}, nil
			})
			cmd, err := NewCommand(t.Context(), "fairlead-ccm/test")
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd.SetArgs(append(tt.args, "--preflight"))
			cmd.SetOut(&out)
			if err := cmd.Execute(); err != nil || !strings.HasPrefix(out.String(), "CHECK ") {
				t.Errorf("%v: %s", err, out.String())
			}
			if asked != tt.want {
				t.Errorf("asked for %+v, want %+v", asked, tt.want)
			}
		})
	}
}

func TestPreflightOfACloudThatRefusesIsAnErrorInATable(t *testing.T) {
	cloud.Register(ProviderName, func(context.Context, cloud.Config) (cloud.Cloud, error) {
		return nil, &cloud.Error{Kind: cloud.ErrUnauthorized, Op: "authenticate", Message: "check auth.application_credential_secret"}
	})
	cmd, err := NewCommand(t.Context(), "fairlead-ccm/test")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.SetArgs([]string{"--preflight"})
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	if err := cmd.Execute(); err == nil || !strings.Contains(out.String(), "credentials   error") {
		t.Errorf("%v: %s", err, out.String())
	}
}
