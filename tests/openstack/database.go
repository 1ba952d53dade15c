package openstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func databaseSocket() string { return path("run", "mariadb.sock") }

// makeDatabaseDir makes MariaDB's directory unless it is there; it appears whole.
func makeDatabaseDir(ctx context.Context) error {
	dir := path("data", "mariadb")
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.RemoveAll(dir + ".new"); err != nil {
		return err
	}
	err := run(ctx, "mariadb", "/usr/bin/mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+dir+".new",
		"--auth-root-authentication-method=normal", "--skip-test-db")
	if err != nil {
		return err
	}
	return os.Rename(dir+".new", dir)
}

// query runs SQL as MariaDB's root, who needs no password on the socket.
func query(ctx context.Context, sql string) error {
	cmd := exec.CommandContext(ctx, "/usr/bin/mariadb", "--no-defaults", "-uroot", "-S", databaseSocket())
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("query MariaDB: %w: %s", err, out)
	}
	return nil
}

func answersSQL(ctx context.Context) bool { return query(ctx, "SELECT 1") == nil }

// makeDatabases makes empty databases and the user who has them.
func makeDatabases(ctx context.Context, v values) error {
	var sql strings.Builder
	for _, s := range schemas() {
		for _, name := range s.databases {
			_, _ = fmt.Fprintf(&sql, "CREATE DATABASE %s CHARACTER SET utf8;\n", name)
		}
	}
	_, _ = fmt.Fprintf(&sql, "GRANT ALL ON *.* TO 'openstack'@'%%' IDENTIFIED BY '%s';\n", v.Secret)
	return query(ctx, sql.String())
}
