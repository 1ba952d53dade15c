package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

var update = flag.Bool("update", false, "with -openstack: record what it answers; always: write the documentation")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	scriptFile = "testdata/script.txt"
	recording  = "testdata/openstack.txt"
	name       = "cli" // of the project, its user, and what it has from the start
)

func TestTheCommandLineSeesOnDevcloudWhatOpenStackAnswered(t *testing.T) {
	needProgram(t)
	report(t, readRecording(t), onDevcloud(t, readScript(t)), differences)
}

func TestOpenStackAnswersAsRecorded(t *testing.T) {
	openstack.Need(t)
	needProgram(t)
	live := onOpenStack(t, readScript(t))
	if *update && !t.Failed() {
		if err := os.WriteFile(recording, []byte(Transcript(live)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	report(t, readRecording(t), live, nil)
}

// needProgram skips without the command line, which make test and openstack up install.
func needProgram(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(Program); err != nil {
		if openstack.Enabled() {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed: apt-get install %s", Program, strings.Join(Packages, " "))
	}
}

func report(t *testing.T, want, have []Record, known []Difference) {
	t.Helper()
	if path := os.Getenv("FAIRLEAD_CLI_TRANSCRIPT"); path != "" { // for a look at all of it
		if err := os.WriteFile(path, []byte(Transcript(have)), 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, complaint := range Compare(want, have, known) {
		t.Error(complaint)
	}
}

func readScript(t *testing.T) []Step {
	t.Helper()
	text, err := os.ReadFile(scriptFile)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := ParseScript(string(text))
	if err != nil {
		t.Fatalf("%s: %v", scriptFile, err)
	}
	return steps
}

func readRecording(t *testing.T) []Record {
	t.Helper()
	text, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	records, err := ParseTranscript(string(text))
	if err != nil {
		t.Fatalf("%s: %v", recording, err)
	}
	return records
}

func play(t *testing.T, steps []Step, cloudsFile string, facts Facts) []Record {
	t.Helper()
	client, err := NewClient(t.Context(), cloudsFile, name+"-password")
	if err != nil {
		t.Fatal(err)
	}
	exchanges, err := Play(t.Context(), client, steps)
	if err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	records, err := Normalize(exchanges, facts)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func onOpenStack(t *testing.T, steps []Step) []Record {
	t.Helper()
	own, err := tenant.New(t.Context(), tenant.Options{CloudsFile: openstack.CloudsFile(), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		own.Admin.HTTPClient.CloseIdleConnections()
	})
	return play(t, steps, own.CloudsFile, Facts{ProjectID: own.ProjectID, UserID: own.UserID})
}

func onDevcloud(t *testing.T, steps []Step) []Record {
	t.Helper()
	config, err := devcloud.ParseConfig([]byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := devcloud.New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- cloud.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("devcloud: %v", err)
		}
		if err := cloud.Close(); err != nil {
			t.Errorf("devcloud: %v", err)
		}
	})
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, clouds, cloud.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	return play(t, steps, file, Facts{ProjectID: projectID, UserID: userID})
}

const (
	projectID = "11111111111111111111111111111111"
	userID    = "22222222222222222222222222222222"
)

// seed is what "make openstack-up" starts with, and what tests/tenant adds to it. Balancers are slow enough for two
// commands to find a new one immutable.
const seed = `
listen: 127.0.0.1:0
simulate: true
times: {profile: default, kinds: {loadbalancer.create: 5s}}
projects: [{name: cli, id: "` + projectID + `"}]
users: [{name: cli, id: "` + userID + `", password: cli, projects: [cli]}]
applicationCredentials: [{name: kubernetes, secret: kubernetes, user: cli, project: cli}]
zones: {volume: [az1, az2], compute: [az1, az2]}
volumeTypes:
- name: standard
- name: fast
- {name: multiattach, multiattach: true}
- {name: __DEFAULT__, description: Default Volume Type}
flavors:
- {id: "1", name: m1.tiny, vcpus: 1, ramMiB: 512, diskGiB: 1}
- {id: "2", name: m1.small, vcpus: 2, ramMiB: 2048, diskGiB: 1}
images: [{name: tiny}]
quotas: {volumes: 200, gigabytes: 20000, instances: 100, cores: 1000, ramMiB: 1000000}
networks:
- {name: public, external: true, subnets: [{name: public-v4, cidr: 172.24.4.0/24, gateway: 172.24.4.1}]}
- {name: cli, subnets: [{name: cli, cidr: 10.6.0.0/24}]}
routers: [{name: cli, externalNetwork: public, subnets: [cli]}]
`

const clouds = `clouds:
  cli:
    auth_type: v3applicationcredential
    auth: {auth_url: "%[1]s/identity/v3", username: cli, user_domain_name: Default,
           application_credential_name: kubernetes, application_credential_secret: kubernetes}
    region_name: RegionOne
    identity_api_version: 3
  cli-password:
    auth: {auth_url: "%[1]s/identity/v3", username: cli, password: cli, project_id: "` + projectID + `", user_domain_name: Default}
    region_name: RegionOne
    identity_api_version: 3
`

const (
	docsFile = "../../docs/devcloud.md"
	docBegin = "<!-- Made by: go test ./tests/cli -run Documentation -update -->\n"
	docEnd   = "<!-- to here -->\n"
)

func TestDocumentationNamesTheDifferences(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), docBegin)
	_, tail, ended := strings.Cut(rest, docEnd)
	if !ok || !ended {
		t.Fatalf("%s lacks the lines %q and %q", docsFile, docBegin, docEnd)
	}
	want := head + docBegin + markdown(differences) + docEnd + tail
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is out of date; run this test with -update:\n%s", docsFile, diff)
	}
}
