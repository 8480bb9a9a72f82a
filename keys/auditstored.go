package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Stored is the entry as every store keeps it and hands it out again, which is
// what its hash is over: times in UTC to the microsecond, texts without what
// Postgres can't hold, the detail as CanonicalJSON. A detail that is no JSON is
// an error; a JSON null is no detail, and a version without a key none.
func (e AuditEntry) Stored() (AuditEntry, error) {
	for _, text := range []*string{&e.TenantID, &e.ID, &e.Writer, &e.Kind, &e.Action, &e.Actor, &e.KeyID, &e.Subject,
		&e.Tool, &e.Decision, &e.Seen, &e.Ref, &e.ArgsDigest, &e.Outcome, &e.Client} {
		*text = StorableText(*text)
	}
	failed := make([]string, len(e.Failed))
	for i, rule := range e.Failed {
		failed[i] = StorableText(rule)
	}
	e.Failed = failed
	e.Time, e.Latency = e.Time.UTC().Truncate(time.Microsecond), e.Latency.Truncate(time.Microsecond)
	if e.KeyID == "" {
		e.KeyVersion = 0
	}
	detail, err := CanonicalJSON(e.Detail)
	if err != nil {
		return AuditEntry{}, fmt.Errorf("detail of audit entry %s: %w", e.ID, err)
	}
	e.Detail = detail
	return e, nil
}

// StorableText is a text with U+FFFD for each NUL and each run of bytes that
// are no UTF-8, neither of which Postgres can hold.
func StorableText(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	const mark = string(utf8.RuneError)
	return strings.ReplaceAll(strings.ToValidUTF8(text, mark), "\x00", mark)
}

// CanonicalJSON is JSON in the one form of RFC 8785, with storable texts. A
// number that a double can't hold as it is written becomes a text, as the RFC's
// appendix D advises: it would be rounded. Of a member that appears twice, the
// last counts. Nothing and null are nothing.
func CanonicalJSON(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if value == nil {
		return nil, nil
	}
	text, err := json.Marshal(storableValue(value))
	if err != nil {
		return nil, err
	}
	out := jsontext.Value(text)
	if err := out.Canonicalize(); err != nil {
		return nil, err
	}
	return json.RawMessage(out), nil
}

func storableValue(value any) any {
	switch v := value.(type) {
	case string:
		return StorableText(v)
	case json.Number:
		if !exact(string(v)) {
			return string(v)
		}
	case []any:
		for i := range v {
			v[i] = storableValue(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[StorableText(name)] = storableValue(inner)
		}
		return out
	}
	return value
}

// exact tells whether the number that a double is written as is the one that
// the literal means.
func exact(literal string) bool {
	double, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return false
	}
	written, ok1 := decimal(strconv.FormatFloat(double, 'e', -1, 64))
	meant, ok2 := decimal(literal)
	return ok1 && ok2 && written == meant
}

// decimal is a number as digits without zeros around them, and the power of ten
// of the last one. All zeros are one: RFC 8785 knows no -0.
func decimal(literal string) (number struct {
	digits   string
	exponent int
}, ok bool) {
	sign := ""
	if rest, negative := strings.CutPrefix(literal, "-"); negative {
		sign, literal = "-", rest
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(literal), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return number, true
	}
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return number, false
		}
	}
	number.digits, number.exponent = sign+short, exponent-len(fraction)+len(digits)-len(short)
	return number, true
}
