package policy

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// field is a struct field as encoding/json sees it.
type field struct {
	typ    reflect.Type
	quoted bool // ",string": the value is within a JSON string
	depth  int
	tagged bool
	hidden bool // two of the same rank: encoding/json takes neither
}

func (f field) checked() reflect.Type {
	if f.quoted {
		return nil // decoding the whole is what checks it
	}
	return f.typ
}

// fieldsOf are the fields by JSON name, embedded structs included, by the rules
// of encoding/json: the shallowest wins, then the tagged one.
func fieldsOf(t reflect.Type) map[string]field {
	all := map[string]field{}
	collectFields(t, 0, map[reflect.Type]bool{}, all)
	for name, f := range all {
		if f.hidden {
			delete(all, name)
		}
	}
	return all
}

func collectFields(t reflect.Type, depth int, within map[reflect.Type]bool, all map[string]field) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
			continue
		case sf.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			collectFields(inner, depth+1, within, all)
			continue
		case !sf.IsExported():
			continue
		}
		f := field{typ: sf.Type, depth: depth, tagged: name != "", quoted: takesQuotes(options, inner)}
		if name == "" {
			name = sf.Name
		}
		addField(all, name, f)
	}
}

func takesQuotes(options string, t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strings.Contains(","+options+",", ",string,")
	}
	return false
}

func addField(all map[string]field, name string, f field) {
	old, there := all[name]
	switch {
	case !there, f.depth < old.depth, f.depth == old.depth && f.tagged && !old.tagged:
		all[name] = f
	case f.depth == old.depth && f.tagged == old.tagged:
		old.hidden = true
		all[name] = old
	}
}

// maxNamed is how many fields an object may have for all to be named to who wrote another.
const maxNamed = 8

func unknownField(fields map[string]field, name string) string {
	for known := range fields {
		if strings.EqualFold(known, name) {
			return "is not a field: names are case-sensitive, write " + known
		}
	}
	verb := "are"
	switch n := len(fields); {
	case n == 0 || n > maxNamed:
		return "is not a field"
	case n == 1:
		verb = "is"
	}
	return "is not a field: there " + verb + " " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

// wants says what a value of the type looks like.
func wants(t reflect.Type) string {
	if t == timeType {
		return "must be an RFC 3339 time"
	}
	if reflect.PointerTo(t).Implements(unmarshalerType) || reflect.PointerTo(t).Implements(textUnmarshalerType) {
		return "has a wrong type or form"
	}
	switch t.Kind() {
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Float32, reflect.Float64:
		return "must be a number in range"
	case reflect.Struct, reflect.Map:
		return "must be an object"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice {
			return "must be base64 in a string"
		}
		return "must be a list"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "must be a whole number in range"
	}
	return "has a wrong type or form"
}
