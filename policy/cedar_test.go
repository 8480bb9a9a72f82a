package policy_test

import (
	"maps"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// fataler is a test or a rapid check.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// cedarOracle asks the Cedar export.
type cedarOracle struct{ policies *cedar.PolicySet }

func newCedarOracle(t fataler, layers []policy.Subject, session []policy.Narrowing) cedarOracle {
	t.Helper()
	text := policy.Cedar(layers[0], layers[1:], session...)
	list, err := cedar.NewPolicyListFromBytes("export.cedar", []byte(text))
	if err != nil {
		t.Fatalf("export does not parse: %v\n%s", err, text)
	}
	set := cedar.NewPolicySet()
	for _, p := range list {
		set.Add(cedar.PolicyID(p.Annotations()["id"]), p)
	}
	if got, want := len(maps.Collect(set.All())), 1+len(ruleOrder); got != want {
		t.Fatalf("export has %d policies, want %d", got, want)
	}
	return cedarOracle{set}
}

// decide answers the names of the failing rules, in order.
func (o cedarOracle) decide(t fataler, tool *policy.Tool, now time.Time) []string {
	t.Helper()
	decision, diagnostic := cedar.Authorize(o.policies, nil, cedarRequest(tool, now))
	for _, e := range diagnostic.Errors {
		t.Fatalf("evaluating %s: %s", e.PolicyID, e.Message)
	}
	failed := map[string]bool{}
	for _, reason := range diagnostic.Reasons {
		failed[string(reason.PolicyID)] = reason.PolicyID != "permit"
	}
	out := naiveOrder(failed)
	if (decision == cedar.Allow) != (len(out) == 0) {
		t.Fatalf("cedar decides %v with failing rules %v", decision, out)
	}
	return out
}

// cedarRequest describes a tool as the export's documentation says.
func cedarRequest(t *policy.Tool, now time.Time) cedar.Request {
	uid := func(kind cedar.EntityType, id string) cedar.EntityUID {
		return cedar.NewEntityUID(kind, cedar.String(id))
	}
	known := t != nil && naiveID.MatchString(t.ID)
	context := cedar.RecordMap{
		"known": cedar.Boolean(known), "builtin": cedar.False, "whoami": cedar.False, "now": cedar.Long(now.UnixNano()),
	}
	req := cedar.Request{Principal: uid("Key", "k"), Action: uid("Action", "call"), Resource: uid("Tool", "none")}
	if known {
		slug, upstream, _ := strings.Cut(t.ID, "/")
		context["builtin"] = cedar.Boolean(slug == "bailiwick")
		context["whoami"] = cedar.Boolean(t.ID == "bailiwick/whoami")
		context["quarantined"] = cedar.Boolean(t.Quarantined)
		context["writeEnabled"] = cedar.Boolean(t.WriteEnabled)
		for name, value := range map[cedar.String]string{
			"id": t.ID, "exposed": t.Name, "upstream": upstream, "slug": slug,
			"projectId": t.ProjectID, "permission": t.Permission,
		} {
			context[name] = cedar.String(value)
		}
		if naiveCategory.MatchString(t.Category) {
			context["category"] = cedar.String(t.Category)
		}
		if t.Effect.Known() {
			context["effect"] = cedar.String(t.Effect.String())
		}
		if t.InstanceID != "" {
			context["instanceId"] = cedar.String(t.InstanceID)
		}
		if t.ProjectID == "" {
			delete(context, "projectId")
		}
		req.Resource = uid("Tool", t.ID)
	}
	req.Context = cedar.NewRecord(context)
	return req
}
