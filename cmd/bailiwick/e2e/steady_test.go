package e2e_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// sdkClient calls with the TypeScript SDK v1, which keeps its stream open beside, in
// one session (clients/steady-v1.mjs).
func (r *rolling) sdkClient(t *testing.T) {
	command := exec.Command(nodePath(t), fixture(t, "clients", "steady-v1.mjs"))
	var output, problems bytes.Buffer
	command.Stdout, command.Stderr = &output, &problems
	input, err := command.StdinPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := command.Start(); err != nil {
		t.Error(err)
		return
	}
	job := withKey(r.url+"/mcp", r.token)
	_ = json.NewEncoder(input).Encode(object{"url": job.URL, "headers": job.Headers, "name": "notes__read_note", "arguments": object{"title": "standup"}})
	for !r.over.Load() {
		time.Sleep(probeEvery)
	}
	_ = input.Close()
	if err := command.Wait(); err != nil {
		t.Errorf("the SDK: %v\n%s", err, problems.String())
		return
	}
	var report struct {
		Calls          int64
		Failed, Errors []clientError
		Sessions       []string
	}
	if err := json.Unmarshal(output.Bytes(), &report); err != nil {
		t.Errorf("the SDK: %v in %s", err, output.String())
	}
	r.calls.Add(report.Calls)
	if report.Calls == 0 || len(report.Failed) > 0 || len(report.Sessions) != 1 {
		r.failed("the SDK: %+v", report)
	}
	for _, e := range report.Errors { // that its stream ended is none
		t.Logf("the SDK says: %s", e.Message)
	}
}
