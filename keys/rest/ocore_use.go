package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// daysParam is the period of recorded use that is looked at.
func daysParam(least int, doc string) param {
	return param{name: "days", kind: "integer", low: least, high: keys.MaxUseDays, absent: keys.UseDays, doc: doc, example: "30"}
}

var (
	dryRunParam = param{name: "dryRun", kind: "boolean", example: "true",
		doc: "Only tell what the change would do: nothing is changed, and the answer is an Effects, without an ETag. What is refused is refused alike."}
	dryRunDaysParam = daysParam(0, "With dryRun=true, how many days of recorded use are decided anew; 0 is none.")
)

func keyChange(c *call, body wire.UpdateKey) (out changeKey, err error) {
	if out.dryRun, err = c.flag(dryRunParam.name); err != nil {
		return out, err
	}
	if out.days, err = c.number(dryRunDaysParam); err != nil {
		return out, err
	}
	if !out.dryRun && c.values.Has(dryRunDaysParam.name) {
		return out, badQuery(dryRunDaysParam.name, "means nothing without dryRun=true")
	}
	out.editKey, err = keyPatch(c, body)
	return out, err
}

// changedKey is the key as it is now, or what would become of it.
func changedKey(c *call, k keyChanged) any {
	if k.effects != nil {
		return *k.effects
	}
	return editedKey(c, k.key)
}

var (
	suggestionDaysParam = daysParam(1, "Of how many days the use is counted.")
	shadowDaysParam     = daysParam(1, "How many days of recorded calls are looked at.")
)

// usedKey is the key that is asked about, and the period.
func usedKey(days param) func(*call) (keyUse, error) {
	return func(c *call) (keyUse, error) {
		n, err := c.number(days)
		return keyUse{c.id(), n}, err
	}
}

func suggestion(_ *call, s keys.Suggestion) wire.Suggestion { return wire.SuggestionOf(s) }

func shadowReport(_ *call, r keys.ShadowReport) wire.ShadowReport { return wire.ShadowReportOf(r) }
