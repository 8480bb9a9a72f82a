package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// conformanceVersions are the revisions that the suite knows.
var conformanceVersions = []string{"2025-03-26", "2025-06-18", legacyVersion, modernVersion}

// TestConformance runs the official conformance suite: against its fixture
// alone, to know what the fixture itself fails, and through Bailiwick, with
// the fixture mounted as an upstream of either era. What may fail is in
// testdata/conformance/LANE-VERSION.yml.
func TestConformance(t *testing.T) {
	t.Parallel()
	alone := map[string]func() (suiteChecks, error){}
	url := conformanceFixture(t, "both")
	for _, version := range conformanceVersions {
		results := t.TempDir()
		alone[version] = sync.OnceValues(func() (suiteChecks, error) { return runSuite(t, url, results, scenarios(version, true)...) })
	}
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		for _, version := range conformanceVersions {
			t.Run(version, func(t *testing.T) {
				checks := must(alone[version]())(t)
				checks.compare(t, "alone-"+version, nil)
			})
		}
	})
	for _, lane := range []struct{ name, speaks, newest string }{
		{"legacy-upstream", "legacy", legacyVersion}, {"modern-upstream", "both", modernVersion},
	} {
		t.Run(lane.name, func(t *testing.T) {
			t.Parallel()
			url := conformanceThrough(t, conformanceFixture(t, lane.speaks), lane.newest)
			for _, version := range conformanceVersions {
				t.Run(version, func(t *testing.T) {
					checks := must(runSuite(t, url, t.TempDir(), scenarios(version, lane.newest == modernVersion)...))(t)
					checks.compare(t, lane.name+"-"+version, must(alone[version]())(t))
				})
			}
		})
	}
}

var buildConformanceServer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(bailiwickBin), "conformanceserver")
	out, err := exec.Command("go", "build", "-o", path, module+"/cmd/bailiwick/e2e/conformanceserver").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// conformanceFixture starts the server that the suite asks for, in a process
// of its own, and answers its URL.
func conformanceFixture(t *testing.T, speaks string) string {
	t.Helper()
	bin, err := buildConformanceServer()
	if err != nil {
		t.Fatalf("building the fixture: %v\n%s", err, bin)
	}
	return fixtureAt(t, exec.Command(bin, "127.0.0.1:0", speaks))
}

// conformanceThrough mounts the fixture behind a server of its own, which must
// speak that revision to it, and answers the URL at which the suite reaches it
// with a full_access key.
func conformanceThrough(t *testing.T, fixtureURL, revision string) string {
	t.Helper()
	m := &mounted{server: serve(t), projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "conformance")
	m.mount(t, "conformance", "fixture", object{"transport": "http", "url": fixtureURL})
	m.settle(t, "fixture__test_simple_text")
	spoken := `"protocol":"` + revision + `"`
	eventually(t, spoken+" in the log", func() string {
		if log := m.log.tail(); !strings.Contains(log, spoken) {
			return log
		}
		return ""
	})
	_, token := m.rest().key(t, fullAccess())
	return newSuiteProxy(t, m.url, token, "fixture")
}

// scenarios are the suite's flags for all scenarios of a revision. Those of the
// tasks extension are of 2026-07-28, and only in the set of what that revision
// requires or allows; they need an upstream of it.
func scenarios(version string, tasks bool) []string {
	if version == modernVersion && tasks {
		return []string{"--requirements", version}
	}
	return []string{"--suite", "all", "--spec-version", version}
}

// runSuite runs scenarios and reads what was checked. The suite's own --expected-failures is not used: it is silent about an expected
// failure that was never checked, and about a check that was not reached.
func runSuite(t *testing.T, url, results string, scenarios ...string) (suiteChecks, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	suite := fixture(t, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	command := exec.CommandContext(ctx, node22(t), append([]string{suite, "server", "--url", url, "--output-dir", results}, scenarios...)...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	if code := command.ProcessState.ExitCode(); code != 0 && code != 1 { // 1: a check failed
		return nil, fmt.Errorf("the conformance suite: %w\n%s", err, output.String())
	}
	checks, err := readChecks(results)
	if err != nil || !bytes.Contains(output.Bytes(), []byte("\nTotal: ")) {
		return nil, fmt.Errorf("the conformance suite did not end: %w\n%s", err, output.String())
	}
	return checks, nil
}
