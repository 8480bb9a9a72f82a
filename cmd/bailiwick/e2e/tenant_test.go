package e2e_test

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// tenantThings are ids that belong to another tenant, and a key of it.
type tenantThings struct{ key, token, project, instance string }

// otherTenant makes a tenant on the command line, beside the running server,
// and a few things in it.
func otherTenant(t *testing.T, s *server) tenantThings {
	t.Helper()
	cli(t, s, "tenants", "create", "--name", "Other", "--slug", "other")
	made := cli(t, s, "keys", "create", "--tenant", "other", "--name", "theirs", "--permissions", "*,manage:tenants",
		"--preset", "full_access", "--read-only=false")
	things := tenantThings{key: made["id"].(string), token: made["key"].(string)}
	theirs := rest{s.url, things.token}
	things.project = theirs.create(t, "/api/projects", object{"slug": "theirs", "name": "theirs"})["id"].(string)
	things.instance = theirs.create(t, "/api/instances", object{"projectId": things.project, "slug": "theirs",
		"transport": "stdio", "command": notesBin})["id"].(string)
	return things
}

// cli runs a subcommand on the server's store and decodes its JSON.
func cli(t *testing.T, s *server, args ...string) object {
	t.Helper()
	command := exec.Command(bailiwickBin, append(args, "--data", s.data, "-o", "json")...)
	command.Env = cleanEnv()
	var problems lockedBuffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("bailiwick %v: %v\n%s", args, err, &problems)
	}
	var decoded object
	if err := json.Unmarshal(out, &decoded); err != nil {
		t.Fatalf("bailiwick %v: %v in %s", args, err, out)
	}
	return decoded
}
