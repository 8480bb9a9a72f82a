package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suiteCheck is one line of a scenario's checks.json.
type suiteCheck struct {
	ID, Status, ErrorMessage, Description string
	Details                               json.RawMessage
}

// failed takes a WARNING (the specification says SHOULD) for a failure, as the
// suite does where it is given a baseline.
func (c suiteCheck) failed() bool { return c.Status == "FAILURE" || c.Status == "WARNING" }

// suiteChecks are the checks by scenario, in order.
type suiteChecks map[string][]suiteCheck

var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// readChecks reads what the suite wrote: a folder for each scenario.
func readChecks(results string) (suiteChecks, error) {
	checks := suiteChecks{}
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no results in %s: %w", results, err)
	}
	for _, file := range files {
		name := resultFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		content, err := os.ReadFile(file)
		if err != nil || name == nil {
			return nil, fmt.Errorf("result of no scenario: %s: %w", file, err)
		}
		var scenario []suiteCheck
		if err := json.Unmarshal(content, &scenario); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		checks[name[1]] = scenario
	}
	return checks, nil
}

// is reports whether a check of that id, or any where id is "", is as asked.
func (c suiteChecks) is(scenario, id string, as func(suiteCheck) bool) bool {
	return slices.ContainsFunc(c[scenario], func(check suiteCheck) bool {
		return (id == "" || check.ID == id) && as(check)
	})
}

// compare holds the checks against a baseline: red is a failure that it does
// not expect, an expected one that did not happen, and a check that passes
// alone and was not even made here.
func (c suiteChecks) compare(t *testing.T, name string, alone suiteChecks) {
	t.Helper()
	expected := readBaseline(t, name)
	for _, scenario := range slices.Sorted(maps.Keys(c)) {
		for _, check := range c[scenario] {
			if check.failed() && !expected.names(scenario, check.ID) {
				t.Errorf("%s:%s %s: %s\n\t%s\n\t%.2000s", scenario, check.ID, check.Status, check.Description, check.ErrorMessage, check.Details)
			}
		}
	}
	for _, entry := range slices.Sorted(maps.Keys(expected)) {
		scenario, id, _ := strings.Cut(entry, ":")
		if !c.is(scenario, id, suiteCheck.failed) {
			t.Errorf("%s is expected to fail (%s) and does not: take it out of testdata/conformance/%s.yml", entry, expected[entry], name)
		}
	}
	for _, scenario := range slices.Sorted(maps.Keys(c)) {
		for _, check := range alone[scenario] {
			made := func(check suiteCheck) bool { return check.Status == "SUCCESS" || check.failed() }
			if check.Status == "SUCCESS" && !c.is(scenario, check.ID, made) && !expected.excuses(scenario) {
				t.Errorf("%s:%s passes alone, and is not reached here", scenario, check.ID)
			}
		}
	}
}

// baseline are expected failures, SCENARIO or SCENARIO:CHECK, with reasons.
type baseline map[string]string

var baselineEntry = regexp.MustCompile(`^  - (\S+) +# (\S.*)$`)

// readBaseline reads a file in the form of the suite's --expected-failures,
// which can thus be given to it by hand. Each entry has a reason behind it. No
// file: nothing is expected to fail.
func readBaseline(t *testing.T, name string) baseline {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "conformance", name+".yml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	expected := baseline{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\n")
		entry := baselineEntry.FindStringSubmatch(line)
		if entry != nil {
			expected[entry[1]] = entry[2]
		} else if line != "" && line != "server:" && !strings.HasPrefix(line, "#") {
			t.Fatalf("%s.yml: %q is not `  - SCENARIO:CHECK  # why`", name, line)
		}
	}
	return expected
}

func (b baseline) names(scenario, id string) bool {
	return b[scenario] != "" || b[scenario+":"+id] != ""
}

// excuses reports whether something of the scenario is expected to fail: it
// may then end before its later checks.
func (b baseline) excuses(scenario string) bool {
	for entry := range b {
		if entry == scenario || strings.HasPrefix(entry, scenario+":") {
			return true
		}
	}
	return false
}
