package lab

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"os"
	"text/template"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// Names that templates/devcloud.yaml gives to the lab's cloud.
const (
	flavorName    = "m1.small"
	tenantNetwork = "lab"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*"))

// cloudValues fill the templates.
type cloudValues struct {
	HostAddress, CloudURL, DevcloudDir, Region, Secret, CredentialID      string
	PublicCIDR, FabricCIDR, PoolStart, PoolEnd, Bridge, BinDir, CloudName string
	CloudPort                                                             int
}

func newCloudValues(secret string) cloudValues {
	return cloudValues{
		HostAddress: layout.HostAddress, CloudPort: layout.CloudPort, CloudURL: layout.CloudURL,
		DevcloudDir: layout.DevcloudDir, BinDir: layout.BinDir, Bridge: layout.Bridge,
		PublicCIDR: layout.PublicCIDR, FabricCIDR: layout.FabricCIDR, PoolStart: layout.PoolStart, PoolEnd: layout.PoolEnd,
		CloudName: layout.CloudName, Region: "RegionOne", CredentialID: "fairlead-lab-kubernetes", Secret: secret,
	}
}

// writeCloudFiles writes the embedded cloud's configuration and the clouds.yaml of its only project, with a new secret.
func writeCloudFiles() error {
	v := newCloudValues(rand.Text())
	return errors.Join(
		renderTo(layout.DevcloudConfig, "devcloud.yaml", v),
		renderTo(layout.CloudsYAML, "clouds.yaml", v),
	)
}

func renderTo(path, name string, v cloudValues) error {
	text, err := render(name, v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func render(name string, v cloudValues) ([]byte, error) {
	var out bytes.Buffer
	err := templates.ExecuteTemplate(&out, name, v)
	return out.Bytes(), err
}
