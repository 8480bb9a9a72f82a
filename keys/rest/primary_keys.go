package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// allKeys: the document has no paging, so the list is complete.
func allKeys(*call) (keys.KeyQuery, error) { return keys.KeyQuery{}, nil }

func newKey(c *call) (keys.NewKey, error) {
	var body wire.CreateKey
	if err := c.json(&body); err != nil {
		return keys.NewKey{}, err
	}
	return body.NewKey(source)
}

func keyPatch(c *call) (editKey, error) {
	var body wire.UpdateKey
	version, err := c.bodyAndVersion(&body)
	return editKey{c.id(), body.Patch(version)}, err
}

func rotation(c *call) (rotateKey, error) {
	var body wire.RotateKey
	if err := c.optionalJSON(&body); err != nil {
		return rotateKey{}, err
	}
	grace, err := body.Grace()
	return rotateKey{c.id(), grace}, err
}

func keyList(_ *call, l many[keys.Key]) any { return wire.KeyListOf(l.items, l.total) }

func oneKey(c *call, k keys.Key) any {
	c.etag(k.Version)
	return wire.KeyOf(k)
}

func issued(c *call, i keys.Issued) any {
	c.etag(i.Key.Version)
	return wire.IssuedOf(i)
}
