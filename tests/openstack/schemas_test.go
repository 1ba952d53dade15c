package openstack

import (
	"os/exec"
	"strings"
	"testing"
)

func TestASchemaIsTheSameForEveryState(t *testing.T) {
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("this is no Debian")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	files := map[string]string{}
	for _, dir := range []string{"/one", "/two"} {
		t.Setenv(DirVariable, dir)
		for _, s := range schemas() {
			file, err := s.file(t.Context())
			if err != nil {
				t.Skip(err) // some package is not installed
			}
			if earlier := files[s.name]; earlier != "" && earlier != file {
				t.Errorf("%s is %s in one state and %s in another", s.name, earlier, file)
			}
			files[s.name] = file
			s.programs = append(s.programs, []string{"another"})
			if changed, err := s.file(t.Context()); err != nil || changed == file {
				t.Errorf("%s: another program makes the same schema %s, %v", s.name, changed, err)
			}
		}
	}
}

// What is kept in the cache must not hold a state's password.
func TestMigrationsKnowNoSecret(t *testing.T) {
	for _, s := range schemas() {
		for _, args := range s.programs {
			if text := strings.Join(args, " "); strings.Contains(text, "bootstrap") || strings.Contains(text, "mysql+pymysql") {
				t.Errorf("%s: %s", s.name, text)
			}
		}
	}
}
