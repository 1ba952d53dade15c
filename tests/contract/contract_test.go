package contract

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	stack "github.com/fairlead-io/fairlead/tests/openstack"
)

var update = flag.Bool("update", false, "with -openstack: write what the real services answered to testdata, and the summary in docs/devcloud.md")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// TestContract runs every case on both clouds, and compares the forms of all answers with those recorded from the real
// services.
func TestContract(t *testing.T) {
	recordings := readRecordings(t)
	seen := newSummary()
	t.Run("OpenStack", func(t *testing.T) {
		stack.Need(t)
		c := newOpenStack(t)
		runAreas(t, func(t *testing.T, area Area, one Case) {
			outcome := run(t.Context(), one, c)
			if *update && outcome.Passed() {
				recordings[area.Name][one.Name] = outcome.Exchanges
			}
			seen.real[key(area, one)] = judge(t, outcome, recordings[area.Name][one.Name])
		})
	})
	if *update && stack.Enabled() {
		writeRecordings(t, recordings)
	}
	t.Run("devcloud", func(t *testing.T) {
		c := newDevcloud(t)
		runAreas(t, func(t *testing.T, area Area, one Case) {
			outcome := run(t.Context(), one, c)
			if one.Differs == "" {
				seen.devcloud[key(area, one)] = judge(t, outcome, recordings[area.Name][one.Name])
				return
			}
			if seen.devcloud[key(area, one)] = outcome.Passed(); outcome.Passed() {
				t.Errorf("it passes: the reason to differ is out of date: %s", one.Differs)
			}
		})
	})
	if stack.Enabled() {
		seen.document(t)
	}
}

// judge fails the test unless the case passed and the answers have the recorded forms, and reports whether it did.
func judge(t *testing.T, outcome Outcome, recorded []Exchange) bool {
	t.Helper()
	if !outcome.Passed() {
		t.Error(outcome)
		return false
	}
	differences := unexplained(compare(recorded, outcome.Exchanges))
	for _, d := range differences {
		t.Error(d)
	}
	return len(differences) == 0
}

func runAreas(t *testing.T, prove func(t *testing.T, area Area, one Case)) {
	for _, area := range areas {
		t.Run(area.Name, func(t *testing.T) {
			for _, one := range area.Cases {
				t.Run(one.Name, func(t *testing.T) { prove(t, area, one) })
			}
		})
	}
}

func recordingFile(area Area) string {
	return filepath.Join("testdata", strings.ReplaceAll(area.Name, " ", "-")+".txt")
}

func readRecordings(t *testing.T) map[string]Recording {
	t.Helper()
	all := map[string]Recording{}
	for _, area := range areas {
		content, err := os.ReadFile(recordingFile(area))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if all[area.Name], err = readRecording(bytes.NewReader(content)); err != nil {
			t.Fatalf("%s: %v", recordingFile(area), err)
		}
	}
	return all
}

func writeRecordings(t *testing.T, all map[string]Recording) {
	t.Helper()
	for _, area := range areas {
		var text bytes.Buffer
		if err := all[area.Name].write(&text, area); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordingFile(area), text.Bytes(), 0o644); err != nil { //nolint:gosec // part of the repository
			t.Fatal(err)
		}
	}
}
