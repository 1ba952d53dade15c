package openstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/fairlead-io/fairlead/tests/tools"
)

// debianPackages are OpenStack's libraries and what is under them. The packages with the services themselves (nova-api,
// ...) would make users, databases and start scripts of their own.
var debianPackages = []string{
	"mariadb-server", "rabbitmq-server", "ovn-central", "uwsgi-core", "uwsgi-plugin-python3",
	"python3-keystone", "python3-placement", "python3-nova", "python3-glance", "python3-cinder", "python3-neutron",
	"python3-octavia", "python3-ovn-octavia-provider", "python3-openstackclient", "python3-octaviaclient",
	"iproute2", "util-linux", "mount",
}

// sharedPackages hold files that the libraries need and lack. They are unpacked and not installed.
var sharedPackages = []string{"nova-common", "cinder-common", "glance-common", "neutron-common"}

// sharedPaths are those files: their place below etc and in the unpacked packages.
var sharedPaths = map[string]string{
	"nova/api-paste.ini":           "usr/share/nova-common/api-paste.ini",
	"cinder/api-paste.ini":         "usr/share/cinder-common/api-paste.ini",
	"cinder/resource_filters.json": "etc/cinder/resource_filters.json",
	"glance/glance-api-paste.ini":  "usr/share/glance-common/glance-api-paste.ini",
	"neutron/api-paste.ini":        "usr/share/neutron-common/api-paste.ini",
}

// sharedFiles finds those files in the cache, or fetches their packages in the versions of the installed libraries.
func sharedFiles(ctx context.Context) (map[string]string, error) {
	cache, err := tools.CacheDir()
	if err != nil {
		return nil, err
	}
	var wanted []string
	for _, name := range sharedPackages {
		library := "python3-" + name[:len(name)-len("-common")]
		version, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", library).Output()
		if err != nil {
			return nil, fmt.Errorf("version of %s: %w", library, err)
		}
		wanted = append(wanted, name+"="+string(version))
	}
	sum := sha256.Sum256(fmt.Append(nil, wanted))
	dir := filepath.Join(cache, "openstack", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err != nil {
		if err := unpack(ctx, dir, wanted); err != nil {
			return nil, fmt.Errorf("unpack %v: %w", wanted, err)
		}
	}
	files := map[string]string{}
	for file, source := range sharedPaths {
		files[file] = filepath.Join(dir, source)
	}
	return files, nil
}

// unpack fetches packages and unpacks them into dir, which appears whole.
func unpack(ctx context.Context, dir string, packages []string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "unpack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := download(ctx, temp, packages); err != nil {
		// The lists may be missing, or older than the mirror: fetch them and try once more.
		if out, update := exec.CommandContext(ctx, "apt-get", "-q", "update").CombinedOutput(); update != nil {
			return fmt.Errorf("%w; apt-get update: %w\n%s", err, update, out)
		}
		if err := download(ctx, temp, packages); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, filepath.Join(temp, "all")).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w\n%s", file, err, out)
		}
	}
	return os.Rename(filepath.Join(temp, "all"), dir)
}

func download(ctx context.Context, dir string, packages []string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download: %w\n%s", err, out)
	}
	return nil
}
