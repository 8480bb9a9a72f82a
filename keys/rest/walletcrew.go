package rest

import (
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// walletcrewShape finds keys by their names, which are their handles.
func walletcrewShape(o operations) shape {
	const all, one = "/api/{tenantId}/admin/apiKeys", "/api/{tenantId}/admin/apiKeys/{keyName}"
	return shape{
		name: "walletcrew",
		tenants: func(r *http.Request) []string {
			return append([]string{r.PathValue("tenantId")}, r.Header.Values("X-Org-Slug")...)
		},
		words: wordsOf(wire.SpellingWalletcrew, "handle", "name"),
		routes: []route{
			{"GET", all, "listKeyDefinitions", 200, viewKeys, "List the tenant's keys, by name", on(o.listKeys, from(liveKeys), keyDefinitions)},
			{"POST", all, "createKeyDefinition", 201, manageKeys, "Make a key with a name of your own; its token is answered this once", on(o.svc.CreateKey, fromJSON(newKeyDefinition).once(), issuedKeyDefinition).withETag()},
			{"GET", one, "getKeyDefinition", 200, viewKeys, "Get a key by its name", on(o.keyNamed, byKeyName(), keyDefinition).withETag()},
			{"PUT", one, "replaceKeyDefinition", 200, manageKeys, "Replace what a key may do and whether it is enabled", on(o.updateKeyNamed, fromJSON(keyReplacement).replacing().versioned(), keyDefinition).withETag()},
			{"DELETE", one, "deleteKeyDefinition", 204, manageKeys, "Revoke a key by its name, which is free again", on(o.revokeKeyNamed, from(keyRemoval).versioned(), empty)},
		},
	}
}

func byKeyName() input[string] {
	return from(func(c *call) (string, error) { return c.keyName(), nil })
}

// liveKeys: the list is complete, and a deleted key is not there any more.
func liveKeys(*call) (keys.KeyQuery, error) { return keys.KeyQuery{}, nil }

func newKeyDefinition(c *call, body wire.CreateKeyDefinition) (keys.NewKey, error) {
	n, err := body.NewKey(source)
	return c.onceOnly(n, err)
}

func keyReplacement(c *call, body wire.ReplaceKeyDefinition) (editNamedKey, error) {
	name := c.keyName()
	version, err := c.ifMatch()
	if err != nil {
		return editNamedKey{}, err
	}
	patch, err := body.Patch(version)
	return editNamedKey{name, patch}, err
}

func keyRemoval(c *call) (revokeNamedKey, error) {
	version, err := c.ifMatch()
	return revokeNamedKey{c.keyName(), version}, err
}

func keyDefinitions(_ *call, l many[keys.Key]) []wire.KeyDefinition {
	return wire.KeyDefinitionsOf(l.items)
}

func keyDefinition(c *call, k keys.Key) wire.KeyDefinition {
	c.etag(k.Version)
	return wire.KeyDefinitionOf(k)
}

func issuedKeyDefinition(c *call, i keys.Issued) wire.IssuedKeyDefinition {
	c.etag(i.Key.Version)
	return wire.IssuedKeyDefinitionOf(i)
}

func empty(*call, nothing) nothing { return nothing{} }
