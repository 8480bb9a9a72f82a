package keys

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The sources of an instance. Of those that the operator wrote, writeEnabled
// and trustAnnotations default to true.
const (
	SourceAPI      = "api"
	SourceCLI      = "cli"
	SourceConfig   = "config"
	SourceImport   = "import"
	SourceRun      = "run"
	SourceEmbedded = "embedded"
)

func (i *Instance) byOperator() bool {
	return i.Source == SourceConfig || i.Source == SourceImport || i.Source == SourceRun || i.Source == SourceEmbedded
}

// InstanceSlugProblem says what is wrong with an instance's slug; "" when
// nothing is. "--" would blur exposed names, and bailiwick is the server's own.
func InstanceSlugProblem(slug string) string {
	switch {
	case slug == "" || len(slug) > maxInstanceSlug || strings.ContainsFunc(slug, notSlug):
		return fmt.Sprintf("must be 1 to %d of a-z, 0-9 and -", maxInstanceSlug)
	case strings.Contains(slug, "--"):
		return "must not contain --"
	case slug == reservedSlug:
		return "bailiwick is the server's own name"
	}
	return ""
}

// InstanceSlug makes a slug of an imported name.
func InstanceSlug(name string) string {
	slug := slugOf(name, "server", maxInstanceSlug, "")
	if slug == reservedSlug {
		slug += "-upstream"
	}
	return slug
}

const (
	reservedSlug    = "bailiwick"
	maxInstanceSlug = 32
	maxToolRules    = 256
)

// applyTo overlays what the specification has. It answers the credentials that
// were there before and stay.
func (spec *InstanceSpec) applyTo(f *faults, i *Instance, c *Credentials) (kept []string) {
	byOperator := i.byOperator()
	if spec.Slug.Null {
		f.add("slug", "must not be null")
	}
	if spec.Transport.Set && spec.Transport.Value != i.Transport { // what the other way needed goes
		i.Command, i.Args, i.URL, *c = "", nil, "", Credentials{}
	}
	patch(&i.Slug, spec.Slug, i.Slug)
	patch(&i.Transport, spec.Transport, "")
	patch(&i.Command, spec.Command, "")
	patch(&i.Args, spec.Args, nil)
	patch(&i.URL, spec.URL, "")
	patch(&i.Enabled, spec.Enabled, true)
	patch(&i.WriteEnabled, spec.WriteEnabled, byOperator)
	patch(&i.TrustAnnotations, spec.TrustAnnotations, byOperator)
	patch(&i.QuarantineNew, spec.QuarantineNew, false)
	patch(&i.Tools, spec.Tools, nil)
	if !spec.Env.Set && len(c.Env) > 0 {
		kept = append(kept, "env")
	}
	if !spec.Headers.Set && len(c.Headers) > 0 {
		kept = append(kept, "headers")
	}
	patch(&c.Env, spec.Env, nil)
	patch(&c.Headers, spec.Headers, nil)
	return kept
}

// widened names what gives an upstream, or others' keys on it, more than before:
// a slug and a project are what keys are limited by, and a new destination
// comes into what was granted to the old one, credentials that nobody can read
// among it.
func widened(was, i *Instance, kept []string) []string {
	var out []string
	add := func(on bool, field string) {
		if on {
			out = append(out, field)
		}
	}
	add(i.WriteEnabled && !was.WriteEnabled, "writeEnabled")
	add(i.TrustAnnotations && !was.TrustAnnotations, "trustAnnotations")
	add(len(i.Tools)+len(was.Tools) > 0 && !reflect.DeepEqual(i.Tools, was.Tools), "tools")
	add(was.QuarantineNew && !i.QuarantineNew, "quarantineNew")
	if was.ID == "" {
		return out
	}
	add(i.Enabled && !was.Enabled, "enabled") // somebody switched it off
	add(i.ProjectID != was.ProjectID, "projectId")
	add(i.Slug != was.Slug, "slug")
	if len(kept) > 0 || was.favoured() {
		add(i.Transport != was.Transport, "transport")
		add(i.URL != was.URL, "url")
		add(i.Command != was.Command, "command")
		add(!slices.Equal(i.Args, was.Args), "args")
	}
	return out
}

// favoured tells an instance that was given more than a new one has.
func (i *Instance) favoured() bool {
	return i.WriteEnabled || i.TrustAnnotations || len(i.Tools) > 0
}

// swapped names the credentials that change on a favoured instance: they say
// on whose behalf, and at which account, others' keys act there.
func swapped(was *Instance, old, is Credentials) []string {
	if was.ID == "" || !was.favoured() {
		return nil
	}
	var out []string
	if !maps.Equal(old.Env, is.Env) {
		out = append(out, "env")
	}
	if !maps.Equal(old.Headers, is.Headers) {
		out = append(out, "headers")
	}
	return out
}

// mayMount holds a stdio instance (it runs a command on the server) and a
// private address to manage:tenants. It notes whether the writer may reach
// private addresses; a name is resolved, and held to that, on every connection.
func (e *edit) mayMount(was, i *Instance) error {
	platform := e.who.Can(manageTenants, e.now)
	if (i.Transport == TransportStdio || was.Transport == TransportStdio) && !platform {
		return &PermissionError{Needed: manageTenants, Hint: "a stdio instance runs a command on the server"}
	}
	if was.ID == "" || i.URL != was.URL || i.Transport != was.Transport {
		i.AllowPrivate = platform && i.Transport != TransportStdio
	}
	if !i.AllowPrivate && !e.svc.cfg.AllowPrivateUpstreams && privateHost(i.URL) {
		return &PermissionError{
			Needed: manageTenants,
			Hint:   "the url is on a loopback, link-local or private address; or start the server with --allow-private-upstreams",
		}
	}
	return nil
}

// PrivateAddress tells an address that is not on the public internet: loopback,
// link-local, private, shared (RFC 6598), unspecified, multicast, or one of
// them written as IPv6.
func PrivateAddress(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is6() && (nat64.Contains(a) || sixToFour.Contains(a)) {
		b := a.As16()
		at := 12
		if sixToFour.Contains(a) {
			at = 2
		}
		return PrivateAddress(netip.AddrFrom4([4]byte(b[at : at+4])))
	}
	return !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
		a.IsUnspecified() || thisNetwork.Contains(a) || shared.Contains(a) || reserved.Contains(a)
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	shared      = netip.MustParsePrefix("100.64.0.0/10")
	reserved    = netip.MustParsePrefix("240.0.0.0/4")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour   = netip.MustParsePrefix("2002::/16")
)

// privateHost judges what the URL itself says.
func privateHost(text string) bool {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil { // 127.1, 0x7f000001 and the like are names here, and judged when resolved
		return false
	}
	return PrivateAddress(a.WithZone(""))
}

func (c Credentials) equal(o Credentials) bool {
	return maps.Equal(c.Env, o.Env) && maps.Equal(c.Headers, o.Headers)
}

// fields are the instance's settings for the audit trail: of the credentials
// the names, of the arguments the number and of the URL what precedes its
// query, because people put secrets there.
func (i *Instance) fields(c Credentials) fields {
	return fields{
		"projectId": i.ProjectID, "slug": i.Slug, "transport": string(i.Transport), "command": i.Command,
		"args": len(i.Args), "argsDigest": shortDigest(i.Args), "url": bareURL(i.URL), "urlDigest": shortDigest(i.URL),
		"env": slices.Sorted(maps.Keys(c.Env)), "headers": slices.Sorted(maps.Keys(c.Headers)),
		"enabled": i.Enabled, "writeEnabled": i.WriteEnabled, "trustAnnotations": i.TrustAnnotations,
		"quarantineNew": i.QuarantineNew, "allowPrivate": i.AllowPrivate, "tools": append([]ToolRule{}, i.Tools...), "source": i.Source,
	}
}

func bareURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery = "redacted"
	}
	return u.String()
}

func ruleFaults(f *faults, rules []ToolRule) {
	if len(rules) > maxToolRules {
		f.add("tools", "has more than %d entries", maxToolRules)
		return
	}
	for n, r := range rules {
		at := fmt.Sprintf("entry %d: ", n+1)
		switch _, err := policy.ParsePattern(r.Match); {
		case err != nil:
			f.add("tools", "%smatch: %v", at, err)
		case strings.ContainsAny(r.Match, "/@"):
			f.add("tools", "%smatch: name the tool as the upstream does, without / and @", at)
		case holdsToken(r.Match):
			f.add("tools", "%smatch: "+hasToken, at)
		}
		if r.Category != "" && !policy.ValidCategory(r.Category) {
			f.add("tools", "%scategory must be 1 to 32 of a-z, 0-9 and -", at)
		}
		if r.Effect != 0 && !r.Effect.Known() {
			f.add("tools", "%sunknown effect: use read, write or destructive", at)
		}
		if problem := policy.PointerProblem(r.ProjectPointer); r.ProjectPointer != "" && problem != "" {
			f.add("tools", "%sprojectPointer %s", at, problem)
		} else if holdsToken(r.ProjectPointer) {
			f.add("tools", "%sprojectPointer: "+hasToken, at)
		}
		if r.Category == "" && r.Effect == 0 && r.ProjectPointer == "" {
			f.add("tools", "%sgives neither category nor effect nor projectPointer", at)
		}
	}
}
