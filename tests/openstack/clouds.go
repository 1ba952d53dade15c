package openstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/tests/tenant"
)

// ProjectCloud is a project in clouds.yaml for people who look around: a member with a network that is routed to the
// outside. Tests make tenants of their own.
const ProjectCloud = "fairlead"

// seedProject makes the project of ProjectCloud.
func seedProject(ctx context.Context, v values) error {
	if err := os.MkdirAll(path("project"), 0o700); err != nil {
		return err
	}
	made, err := tenant.New(ctx, tenant.Options{CloudsFile: CloudsFile(), Name: ProjectCloud, Dir: path("project")})
	if err != nil {
		return err
	}
	made.Admin.HTTPClient.CloseIdleConnections()
	return writeClouds(v)
}

// writeClouds writes clouds.yaml: the administrator and, if it was made, the project.
func writeClouds(v values) error {
	text, err := render(v, "clouds.yaml", "clouds.yaml")
	if err != nil {
		return err
	}
	project, err := os.ReadFile(path("project", "clouds.yaml"))
	if errors.Is(err, os.ErrNotExist) {
		return writeFile(CloudsFile(), text)
	}
	if err != nil {
		return err
	}
	merged, err := mergeClouds(text, project)
	if err != nil {
		return err
	}
	return writeFile(CloudsFile(), merged)
}

// mergeClouds makes one clouds.yaml of two.
func mergeClouds(texts ...[]byte) ([]byte, error) {
	all := map[string]any{}
	for _, text := range texts {
		var file struct {
			Clouds map[string]any `json:"clouds"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("merge clouds.yaml: %w", err)
		}
		maps.Copy(all, file.Clouds)
	}
	return yaml.Marshal(map[string]any{"clouds": all})
}
