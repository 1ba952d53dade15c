package openstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fairlead-io/fairlead/tests/tools"
)

// A schema is how a service's tables are made. Migrations take most of a first start, and the same versions make the
// same tables: they are kept in the cache. Nothing in them is secret or of one state.
type schema struct {
	name      string
	databases []string
	// programs migrate, one after another.
	programs [][]string
}

func schemas() []schema {
	// Nova fills in these from its configuration.
	const place = "{scheme}://{username}:{password}@{hostname}:{port}/"
	one := func(name string, program []string) schema {
		return schema{name: name, databases: []string{name}, programs: [][]string{program}}
	}
	return []schema{
		one("keystone", manageKeystone("db_sync")),
		one("placement", entryPoint("placement.cmd.manage:main", "placement-manage", []string{etc("placement", "placement.conf")}, "db", "sync")),
		one("glance", entryPoint("glance.cmd.manage:main", "glance-manage", []string{etc("glance", "glance-api.conf")}, "db_sync")),
		one("octavia", entryPoint("octavia.db.migration.cli:main", "octavia-db-manage", []string{etc("octavia", "octavia.conf")}, "upgrade", "head")),
		one("neutron", entryPoint("neutron.db.migration.cli:main", "neutron-db-manage", []string{etc("neutron", "neutron.conf")}, "upgrade", "heads")),
		one("cinder", entryPoint("cinder.cmd.manage:main", "cinder-manage", []string{etc("cinder", "cinder.conf")}, "db", "sync")),
		{name: "nova", databases: []string{"nova", "nova_api", "nova_cell0"}, programs: [][]string{
			manageNova("api_db", "sync"),
			manageNova("cell_v2", "map_cell0", "--database_connection", place+"nova_cell0?{query}"),
			manageNova("db", "sync"),
			manageNova("cell_v2", "create_cell", "--name", "cell1", "--database_connection", place+"{path}?{query}", "--transport-url", place),
		}},
	}
}

// unit is the step that makes the tables.
func (s schema) unit() unit {
	needs := []string{"databases"}
	switch s.name {
	case "keystone", "neutron", "nova": // everything waits for the first, and the others take longest
	default:
		needs = append(needs, "keystone-db")
	}
	return unit{name: s.name + "-db", needs: needs, do: s.migrate}
}

// migrate takes the tables from the cache, or makes them and puts them there.
func (s schema) migrate(ctx context.Context) error {
	file, err := s.file(ctx)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err == nil {
		return query(ctx, string(text))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := runAll(s.name+"-db", s.programs...)(ctx); err != nil {
		return err
	}
	dump := append([]string{"--no-defaults", "-uroot", "-S", databaseSocket(), "--single-transaction", "--skip-comments", "--databases"}, s.databases...)
	out, err := exec.CommandContext(ctx, "/usr/bin/mariadb-dump", dump...).Output()
	if err != nil {
		return fmt.Errorf("dump %v: %w", s.databases, err)
	}
	return writeFile(file, out)
}

// file is the schema's place in the cache: another version of a package or another program is another schema.
func (s schema) file(ctx context.Context) (string, error) {
	cache, err := tools.CacheDir()
	if err != nil {
		return "", err
	}
	versions, err := exec.CommandContext(ctx, "dpkg-query", append([]string{"-W", "-f", "${Package} ${Version}\n"}, debianPackages...)...).Output()
	if err != nil {
		return "", fmt.Errorf("versions of the packages: %w", err)
	}
	programs := strings.ReplaceAll(fmt.Sprint(s.programs), Dir(), "")
	sum := sha256.Sum256(append(versions, programs...))
	return filepath.Join(cache, "openstack", s.name+"-"+hex.EncodeToString(sum[:8])+".sql"), nil
}
