package keys_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestInvalidInstances(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		change func(s *keys.InstanceSpec)
		fields string // that the error names
	}{
		"no slug":           {func(s *keys.InstanceSpec) { s.Slug = keys.Opt[string]{} }, "slug"},
		"upper-case slug":   {func(s *keys.InstanceSpec) { s.Slug = keys.Some("A1") }, "slug"},
		"long slug":         {func(s *keys.InstanceSpec) { s.Slug = keys.Some(strings.Repeat("a", 33)) }, "slug"},
		"double dash":       {func(s *keys.InstanceSpec) { s.Slug = keys.Some("a--b") }, "slug"},
		"reserved slug":     {func(s *keys.InstanceSpec) { s.Slug = keys.Some("bailiwick") }, "slug"},
		"no transport":      {func(s *keys.InstanceSpec) { s.Transport = keys.Opt[keys.Transport]{} }, "transport"},
		"unknown transport": {func(s *keys.InstanceSpec) { s.Transport = keys.Some(keys.Transport("ws")) }, "transport"},
		"no url":            {func(s *keys.InstanceSpec) { s.URL = keys.Opt[string]{} }, "url"},
		"another scheme":    {func(s *keys.InstanceSpec) { s.URL = keys.Some("file:///etc/passwd") }, "url"},
		"no host":           {func(s *keys.InstanceSpec) { s.URL = keys.Some("http://:80/") }, "url"},
		"user in the url":   {func(s *keys.InstanceSpec) { s.URL = keys.Some("https://a:b@host/") }, "url"},
		"fragment":          {func(s *keys.InstanceSpec) { s.URL = keys.Some("https://host/#x") }, "url"},
		"control character": {func(s *keys.InstanceSpec) { s.URL = keys.Some("https://host/\r\n") }, "url"},
		"command with http": {func(s *keys.InstanceSpec) { s.Command = keys.Some("sh") }, "command"},
		"env with http":     {func(s *keys.InstanceSpec) { s.Env = keys.Some(map[string]string{"A": "b"}) }, "env"},
		"stdio without command": {func(s *keys.InstanceSpec) {
			s.Transport, s.URL = keys.Some(keys.TransportStdio), keys.Opt[string]{}
		}, "command"},
		"stdio with url": {func(s *keys.InstanceSpec) {
			s.Transport, s.Command = keys.Some(keys.TransportStdio), keys.Some("server")
		}, "url"},
		"NUL in an argument": {func(s *keys.InstanceSpec) {
			s.Transport, s.URL = keys.Some(keys.TransportStdio), keys.Opt[string]{}
			s.Command, s.Args = keys.Some("server"), keys.Some([]string{"a\x00"})
		}, "args"},
		"header name":         {func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"X Y": "z"}) }, "headers"},
		"header of our own":   {func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"mcp-session-id": "z"}) }, "headers"},
		"two lines":           {func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"X": "a\r\nB: c"}) }, "headers"},
		"header twice":        {func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"X-A": "1", "x-a": "2"}) }, "headers"},
		"rule without effect": {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "x"}}) }, "tools"},
		"rule with a slash":   {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "a/x", Category: "c"}}) }, "tools"},
		"rule's category":     {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "x", Category: "C!"}}) }, "tools"},
		"rule's pattern":      {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "x?", Category: "c"}}) }, "tools"},
		"rule's pointer":      {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "x", ProjectPointer: "p"}}) }, "tools"},
		"rule's ~":            {func(s *keys.InstanceSpec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "x", ProjectPointer: "/a~2"}}) }, "tools"},
		"unknown project":     {func(s *keys.InstanceSpec) { s.ProjectID = keys.Some("none") }, "projectId"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := remote("a1")
			c.change(&spec)
			before := h.epoch()
			err := errOf(h.svc.CreateInstance(h.ctx, h.op, spec))
			if !isInvalid(err) || strings.Join(fieldsOf(err), ",") != c.fields {
				t.Errorf("%v: fields %v, want %s", err, fieldsOf(err), c.fields)
			}
			if h.epoch() != before {
				t.Error("something was written")
			}
		})
	}
}

func TestInstanceSlug(t *testing.T) {
	for name, want := range map[string]string{
		"My Server": "my-server", "a--b": "a-b", "bailiwick": "bailiwick-upstream", "Ä": "server", "@scope/pkg": "scope-pkg",
		strings.Repeat("a", 31) + "-b": strings.Repeat("a", 31),
	} {
		if got := keys.InstanceSlug(name); got != want || keys.InstanceSlugProblem(got) != "" {
			t.Errorf("%q became %q (%s), want %q", name, got, keys.InstanceSlugProblem(got), want)
		}
	}
}

// What runs a command or reaches into the network takes manage:tenants; what
// gives an upstream more takes an unrestricted policy.
func TestWhoMayMountWhat(t *testing.T) {
	h := newHouse(t)
	key := func(pp keys.PolicyPatch, permissions ...string) keys.Principal {
		return h.as(keys.NewKey{Permissions: keys.Some(permissions), PolicyPatch: pp})
	}
	limited := key(keys.PolicyPatch{}, "manage:instances")
	wide := key(full(), "manage:instances")
	platform := key(full(), "manage:instances", "manage:tenants")
	stdio := keys.InstanceSpec{Slug: keys.Some("s"), Transport: keys.Some(keys.TransportStdio), Command: keys.Some("server")}
	private := remote("p")
	private.URL = keys.Some("http://127.0.0.1:9000/mcp")
	plain, writable, trusted, ruled := remote("a"), remote("b"), remote("c"), remote("d")
	writable.WriteEnabled, trusted.TrustAnnotations = keys.Some(true), keys.Some(true)
	ruled.Tools = keys.Some([]keys.ToolRule{{Match: "*", Effect: policy.EffectRead}})
	imported := remote("e")
	imported.Source = keys.SourceImport
	for name, c := range map[string]struct {
		spec keys.InstanceSpec
		may  []keys.Principal
	}{
		"plain":    {plain, []keys.Principal{limited, wide, platform}},
		"stdio":    {stdio, []keys.Principal{platform}},
		"private":  {private, []keys.Principal{platform}},
		"writable": {writable, []keys.Principal{wide, platform}},
		"trusted":  {trusted, []keys.Principal{wide, platform}},
		"rules":    {ruled, []keys.Principal{wide, platform}},
		"imported": {imported, []keys.Principal{wide, platform}},
	} {
		for who, p := range map[string]keys.Principal{"limited": limited, "wide": wide, "platform": platform} {
			i, err := h.svc.CreateInstance(h.ctx, p, c.spec)
			may := slices.ContainsFunc(c.may, func(o keys.Principal) bool { return o.KeyID() == p.KeyID() })
			if may != (err == nil) || !may && !isDenied(err) {
				t.Errorf("%s by %s: %v %v", name, who, err, details(err))
			}
			if err != nil {
				continue
			}
			if byRight := p.KeyID() == platform.KeyID() && i.Transport != keys.TransportStdio; h.svc.PrivateUpstreamAllowed(i) != byRight {
				t.Errorf("%s by %s: private addresses allowed = %v", name, who, !byRight)
			}
			if err := h.svc.DeleteInstance(h.ctx, limited, i.ID); err != nil {
				t.Errorf("%s: delete: %v", name, err)
			}
		}
	}
}

func TestUpdateInstance(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances"})})
	two := h.project("two")
	withHeader := func(s *keys.InstanceSpec) {
		s.ProjectID = keys.Some(h.projectID("default"))
		s.Headers = keys.Some(map[string]string{"X-Key": "hush"})
	}
	for name, c := range map[string]struct {
		spec    keys.InstanceSpec
		widened string
	}{
		"disable":         {keys.InstanceSpec{Enabled: keys.Some(false)}, ""},
		"nothing":         {keys.InstanceSpec{}, ""},
		"write":           {keys.InstanceSpec{WriteEnabled: keys.Some(true)}, "writeEnabled"},
		"trust":           {keys.InstanceSpec{TrustAnnotations: keys.Some(true)}, "trustAnnotations"},
		"rules":           {keys.InstanceSpec{Tools: keys.Some([]keys.ToolRule{{Match: "*", Effect: policy.EffectRead}})}, "tools"},
		"project":         {keys.InstanceSpec{ProjectID: keys.Some(two.ID)}, "projectId"},
		"slug":            {keys.InstanceSpec{Slug: keys.Some("b1")}, "slug"},
		"new tools wait":  {keys.InstanceSpec{QuarantineNew: keys.Some(true)}, ""},
		"url, old header": {keys.InstanceSpec{URL: keys.Some("https://thief.example/")}, "url"},
		"header":          {keys.InstanceSpec{Headers: keys.Some(map[string]string{"X-Key": "other"})}, ""},
		"url, new header": {keys.InstanceSpec{URL: keys.Some("https://other.example/"), Headers: keys.Null[map[string]string]()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			made := h.instance("a1", withHeader)
			err := errOf(h.svc.UpdateInstance(h.ctx, limited, made.ID, c.spec))
			if got := strings.Join(fieldsOf(err), ","); got != c.widened || (err == nil) != (c.widened == "") {
				t.Errorf("%v: %s, want %s", err, got, c.widened)
			}
			if err := h.svc.DeleteInstance(h.ctx, h.op, made.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
	made := h.instance("a1", withHeader)
	i, err := h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{
		WriteEnabled: keys.Some(true), ProjectID: keys.Some(two.ID), Headers: keys.Some(map[string]string{"X-Key": "new"}),
	})
	if err != nil || !i.WriteEnabled || i.ProjectID != two.ID || i.Version != h.epoch() {
		t.Fatalf("%+v, %v", i, err)
	}
	before := h.epoch()
	same, err := h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{Headers: keys.Some(map[string]string{"X-Key": "new"})})
	if err != nil || h.epoch() != before || same.Version != i.Version {
		t.Errorf("the same again was written: %v", err)
	}
	if c, err := h.svc.Credentials(same); err != nil || c.Headers["X-Key"] != "new" {
		t.Errorf("credentials %v, %v", c, err)
	}
	if _, err := h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{IfVersion: made.Version}); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("old version: %v", err)
	}
	h.instance("taken", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(two.ID) })
	if _, err := h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{Slug: keys.Some("taken")}); !isConflict(err) {
		t.Errorf("taken slug: %v", err)
	}
	local, err := h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{Transport: keys.Some(keys.TransportStdio), Command: keys.Some("server")})
	if c, _ := h.svc.Credentials(local); err != nil || local.URL != "" || len(c.Headers) != 0 {
		t.Errorf("another transport: %+v, %v", local, err)
	}
	if _, err := h.svc.UpdateInstance(h.ctx, limited, made.ID, keys.InstanceSpec{Enabled: keys.Some(true)}); !isDenied(err) {
		t.Errorf("a stdio instance changed without manage:tenants: %v", err)
	}
	away := remote("a1")
	away.WriteEnabled = keys.Some(false)
	wide := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances"}), PolicyPatch: full()})
	if _, err := h.svc.UpdateInstance(h.ctx, wide, made.ID, away); !isDenied(err) {
		t.Errorf("a stdio instance made another without manage:tenants: %v", err)
	}
}

// An instance that was switched off, or that others' keys trust, is not put
// under somebody else's credentials, nor switched on again, by a limited key.
func TestWidenAnInstanceThatStands(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances", "manage:tenants"})})
	wide := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances", "manage:tenants"}), PolicyPatch: full()})
	type spec = keys.InstanceSpec
	header, variable := keys.Some(map[string]string{"X-Key": "mine"}), keys.Some(map[string]string{"TOKEN": "mine"})
	remoteWith := func(change func(*spec)) func(*spec) {
		return func(s *spec) { s.Headers = keys.Some(map[string]string{"X-Key": "theirs"}); change(s) }
	}
	local := func(s *spec) {
		*s = spec{Slug: s.Slug, Transport: keys.Some(keys.TransportStdio), Command: keys.Some("server"), WriteEnabled: keys.Some(true)}
	}
	for name, c := range map[string]struct {
		is      func(*spec)
		patch   spec
		widened string
	}{
		"enable":            {remoteWith(func(s *spec) { s.Enabled = keys.Some(false) }), spec{Enabled: keys.Some(true)}, "enabled"},
		"enable by null":    {remoteWith(func(s *spec) { s.Enabled = keys.Some(false) }), spec{Enabled: keys.Null[bool]()}, "enabled"},
		"header, trusted":   {remoteWith(func(s *spec) { s.TrustAnnotations = keys.Some(true) }), spec{Headers: header}, "headers"},
		"header, writable":  {remoteWith(func(s *spec) { s.WriteEnabled = keys.Some(true) }), spec{Headers: header}, "headers"},
		"header, ruled":     {remoteWith(func(s *spec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "a", Effect: policy.EffectRead}}) }), spec{Headers: header}, "headers"},
		"no header, ruled":  {remoteWith(func(s *spec) { s.Tools = keys.Some([]keys.ToolRule{{Match: "a", Effect: policy.EffectRead}}) }), spec{Headers: keys.Null[map[string]string]()}, "headers"},
		"the same header":   {remoteWith(func(s *spec) { s.WriteEnabled = keys.Some(true) }), spec{Headers: keys.Some(map[string]string{"X-Key": "theirs"})}, ""},
		"variable":          {local, spec{Env: variable}, "env"},
		"header, untrusted": {remoteWith(func(*spec) {}), spec{Headers: header}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			made := h.instance("a1", c.is)
			err := errOf(h.svc.UpdateInstance(h.ctx, limited, made.ID, c.patch))
			if got := strings.Join(fieldsOf(err), ","); got != c.widened || isDenied(err) != (c.widened != "") {
				t.Errorf("%v: %s, want %s", err, got, c.widened)
			}
			if err := errOf(h.svc.UpdateInstance(h.ctx, wide, made.ID, c.patch)); err != nil {
				t.Errorf("a wide key: %v", err)
			}
			if err := h.svc.DeleteInstance(h.ctx, h.op, made.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPrivateAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true,
		"100.64.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "224.0.0.1": true, "255.255.255.255": true,
		"::1": true, "::": true, "fe80::1": true, "fc00::1": true, "ff02::1": true,
		"::ffff:127.0.0.1": true, "64:ff9b::7f00:1": true, "2002:7f00:1::": true,
		"8.8.8.8": false, "2606:4700::1111": false, "::ffff:8.8.8.8": false, "64:ff9b::808:808": false,
	} {
		if got := keys.PrivateAddress(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !keys.PrivateAddress(netip.Addr{}) {
		t.Error("the zero address is public")
	}
	h := newHouse(t)
	p := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances"}), PolicyPatch: full()})
	for _, host := range []string{"localhost", "LOCALHOST.", "a.localhost", "[::1]", "[fe80::1%25eth0]", "10.0.0.1:80", "[::ffff:10.0.0.1]"} {
		spec := remote("a1")
		spec.URL = keys.Some("http://" + host + "/mcp")
		if err := errOf(h.svc.CreateInstance(h.ctx, p, spec)); !isDenied(err) {
			t.Errorf("%s: %v %v", host, err, details(err))
		}
	}
}
