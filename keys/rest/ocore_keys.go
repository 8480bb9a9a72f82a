package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

var (
	searchParam = param{name: "search", kind: "string", high: 200, doc: "Only keys with this text in name, handle or prefix, in any case; % and _ are themselves.",
		example: "reader"}
	revokedParam = param{name: "includeRevoked", kind: "boolean", doc: "Revoked keys too.", example: "true"}
)

// allKeys: the document has no paging, so the list is complete.
func allKeys(c *call) (q keys.KeyQuery, err error) {
	if q.Search, err = c.text(searchParam); err != nil {
		return q, err
	}
	q.IncludeRevoked, err = c.flag(revokedParam.name)
	return q, err
}

// keyPage is a page of the platform's list, newest last.
func keyPage(c *call) (q keys.KeyQuery, err error) {
	at, err := c.page()
	if err != nil {
		return q, err
	}
	if q, err = allKeys(c); err != nil {
		return q, err
	}
	q.Limit, q.Offset = at.limit, (at.number-1)*at.limit
	return q, nil
}

func newKey(c *call, body wire.CreateKey) (keys.NewKey, error) {
	n, err := body.NewKey(source)
	return c.onceOnly(n, err)
}

func newKeyOfTenant(c *call, body wire.CreateKey) (newTenantKey, error) {
	n, err := body.NewKey(source)
	return newTenantKey{c.idOrSlug(), n}, err
}

func keyPatch(c *call, body wire.UpdateKey) (editKey, error) {
	version, err := c.ifMatch()
	return editKey{c.id(), body.Patch(version)}, err
}

func keyFlip(c *call) (toggleKey, error) {
	version, err := c.ifMatch()
	return toggleKey{c.id(), version}, err
}

func rotation(c *call, body wire.RotateKey) (r rotateKey, err error) {
	r.id = c.id()
	if r.rotation.Grace, err = body.Grace(); err != nil {
		return r, err
	}
	if r.rotation.IfVersion, err = c.ifMatch(); err != nil {
		return r, err
	}
	r.rotation.Idempotency, err = c.idempotency()
	return r, err
}

func revocation(c *call, body wire.RevokeKey) (revokeKey, error) {
	version, err := c.ifMatch()
	return revokeKey{c.id(), keys.Revocation{Reason: body.Reason.Value, IfVersion: version}}, err
}

func keyList(_ *call, l many[keys.Key]) wire.KeyList { return wire.KeyListOf(l.items, l.total) }

func platformKeys(_ *call, l many[keys.Key]) wire.PlatformKeyList {
	return wire.PlatformKeyListOf(l.items, l.total)
}

func oneKey(c *call, k keys.Key) wire.Key {
	c.etag(k.Version)
	return wire.KeyOf(k)
}

func editedKey(c *call, k keys.Key) wire.EditedKey {
	return wire.EditedKey{Key: oneKey(c, k), Edited: c.edited()}
}

func issued(c *call, i keys.Issued) wire.Issued {
	c.etag(i.Key.Version)
	return wire.IssuedOf(i, c.edits.Last())
}
