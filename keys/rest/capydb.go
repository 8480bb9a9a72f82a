package rest

import (
	"net/http"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const capydbPrefix = "/v1/"

// capydbShape is the snake_case one, whose organizations are tenants and whose
// scopes are permissions.
func capydbShape(o operations) shape {
	const all, one = "/v1/organizations/{orgID}/api-keys", "/v1/organizations/{orgID}/api-keys/{keyID}"
	return shape{
		name: "capydb",
		tenants: func(r *http.Request) []string {
			header := r.Header.Values("X-Org-Slug")
			if id := r.PathValue("orgID"); id != "" {
				return append([]string{id}, header...)
			}
			return header
		},
		words: wordsOf(wire.SpellingCapydb, "permissions", "scopes", "projectId", "project_id",
			"expiresAt", "expires_at", "deviceName", "device_name"),
		routes: append([]route{
			{"GET", all, "listOrganizationKeys", 200, viewKeys, "List the organization's keys, revoked ones too", on(o.listKeys, from(everyKey), o.organizationKeys)},
			{"POST", all, "createOrganizationKey", 201, manageKeys, "Make a key, whose plaintext is answered this once", on(o.svc.CreateKey, fromJSON(newOrganizationKey).once(), o.issuedOrganizationKey)},
			{"DELETE", one, "revokeOrganizationKey", 200, manageKeys, "Revoke a key and its children, for good", on(o.revokeKey, from(organizationKeyEnd), revoked)},
			{"GET", "/v1/me", "getMe", 200, anyKey, "Tell who asks, and what it may do", on(o.whoami, from(none), o.me)},
		}, loginRoutes(o)...),
	}
}

// capydbFault answers with an error as this shape has it: one text.
func capydbFault(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	text := p.Detail
	switch {
	case p.Status == http.StatusNotFound:
		text = capydbAbsence(r.URL.Path)
	case p.Code == "exceeds_rights" && len(p.Errors) > 0:
		text += " (" + p.Errors[0].Field + ": " + p.Errors[0].Problem + ")"
	}
	p.AnswerAs(w, "application/json", wire.Fault{Error: text})
}

// capydbAbsence names what the last part of a path would find: that the
// organization is not there either is not told.
func capydbAbsence(path string) string {
	rest, organization := strings.CutPrefix(path, "/v1/organizations/")
	switch {
	case organization && strings.Contains(rest, "/api-keys/"):
		return "api key not found"
	case strings.HasPrefix(path, wire.LoginPath):
		return "login session not found"
	case organization, path == "/v1/me":
		return "organization not found"
	}
	return "not found"
}

// everyKey: the list is complete, and has the revoked ones.
func everyKey(*call) (keys.KeyQuery, error) { return keys.KeyQuery{IncludeRevoked: true}, nil }

func organizationKeyEnd(c *call) (revokeKey, error) { return revokeKey{id: c.uuid("keyID")}, nil }

func newOrganizationKey(c *call, body wire.CreateOrganizationKey) (keys.NewKey, error) {
	n, err := body.NewKey(source)
	return c.onceOnly(n, err)
}

func (o operations) organizationKeys(_ *call, l many[keys.Key]) wire.OrganizationKeyList {
	return wire.OrganizationKeyListOf(l.items, o.svc.Now())
}

func (o operations) issuedOrganizationKey(_ *call, i keys.Issued) wire.IssuedOrganizationKey {
	return wire.IssuedOrganizationKeyOf(i, o.svc.Now())
}

func revoked(*call, keys.Key) wire.Revoked { return wire.Revoked{Revoked: true} }

func (o operations) me(_ *call, p keys.Principal) wire.Me { return wire.MeOf(p, o.svc.Now()) }
