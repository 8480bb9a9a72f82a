package mcp_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

func TestReadMessage(t *testing.T) {
	deep := strings.Repeat("[", mcp.MaxDepth) + strings.Repeat("]", mcp.MaxDepth)
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	for _, c := range []struct{ name, body, problem string }{
		{"request", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, ""},
		{"string id", `{"jsonrpc":"2.0","id":"a","method":"ping"}`, ""},
		{"big id", `{"jsonrpc":"2.0","id":98765432109876543210,"method":"ping"}`, ""},
		{"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, ""},
		{"response", `{"jsonrpc":"2.0","id":1,"result":{}}`, ""},
		{"error response", `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}`, ""},
		{"unknown members are let be", `{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"params":{"y":2,"_meta":{"z":3}}}`, ""},
		{"case variants in arguments are the tool's matter", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1,"A":2}}}`, ""},

		{"empty", ``, "not valid JSON"},
		{"two values", `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`, "not valid JSON"},
		{"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", "not valid UTF-8"},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "batches are not supported"},
		{"scalar", `7`, "batches are not supported"},
		{"no version", `{"id":1,"method":"ping"}`, `jsonrpc must be "2.0"`},
		{"other version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `jsonrpc must be "2.0"`},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, "id must be"},
		{"object id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, "id must be"},
		{"long id", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 300) + `","method":"ping"}`, "id must be"},
		{"no method", `{"jsonrpc":"2.0","id":1}`, "method must be"},
		{"method is a number", `{"jsonrpc":"2.0","id":1,"method":5}`, "method must be"},
		{"request and response", `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, "not both"},
		{"params is a list", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, "params must be an object"},
		{"_meta is a list", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}`, "_meta must be an object"},
		{"progress token is an object", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":{}}}}`, "progressToken must be"},
		{"too deep", `{"jsonrpc":"2.0","id":1,"method":"ping","x":` + deep + `}`, "nests deeper"},
		{"too many members", `{"jsonrpc":"2.0","id":1,"method":"ping",` + strings.Join(many, ",") + `}`, "more than 256 keys"},

		{"method twice", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, "there twice"},
		{"method twice, escaped", `{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}`, "there twice"},
		{"METHOD", `{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, "but for case"},
		{"paramſ", `{"jsonrpc":"2.0","id":1,"method":"ping","param` + "ſ" + `":{}}`, "but for case"},
		{"name and NAME", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}`, "but for case"},
		{"name twice", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}`, "there twice"},
		{"unknown twice", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"q":"a","Q":"b"}}`, "there twice"},
		{"version twice in _meta", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","IO.modelcontextprotocol/protocolVersion":"b"}}}`, "but for case"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mcp.ReadMessage([]byte(c.body))
			switch {
			case c.problem == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("error %v, want one that says %q", err, c.problem)
			}
		})
	}
}

func TestReadMessageKeepsBytes(t *testing.T) {
	const arguments = `{ "n" : 12345678901234567890.10, "s":"A\/" , "l":[1 , 2] }`
	got, err := mcp.ReadMessage([]byte(` { "params" : {"arguments": ` + arguments + ` ,"name":"x\u0079"} ,"id": "q" , "method":"tools/call","jsonrpc":"2.0"} `))
	must(t, err)
	if string(got.Arguments) != arguments || got.Name != "xy" || string(got.ID) != `"q"` || got.Method != "tools/call" {
		t.Errorf("read as %+v", got)
	}
}

// FuzzReadMessage holds what is accepted against encoding/json: whoever reads
// the message later with it must see the same of each member.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__b","arguments":{"x":[1,{"y":"}"}]},"_meta":{"progressToken":"t"}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"1","method":"x","params":{"uri":"a:\u002fb","ref":{"type":"ref/prompt"},"task":{"ttl":1},"taskId":"t1",` +
		`"inputResponses":{"q":{}},"requestState":"s","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`))
	for _, params := range []string{`{}`, `{"name":null,"uri":7}`, `{"name":7}`, `{"uri":"a:b","name":"x"}`, `{"name":"\u00e9 x"}`, `{"uri":{}}`} {
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`))
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":3,"result":{"roots":[]}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":3,"error":{"code":-1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := mcp.ReadMessage(body)
		if err != nil && strings.Contains(err.Error(), "not valid JSON") && json.Valid(body) {
			t.Fatal("refused as no valid JSON what is")
		}
		if err != nil {
			return
		}
		var want struct {
			JSONRPC string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
			Method  string          `json:"method"`
			Result  json.RawMessage `json:"result"`
			Error   json.RawMessage `json:"error"`
			Params  json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		read := mcp.Envelope{ID: want.ID, Method: want.Method, Params: want.Params, Result: want.Result, Failure: want.Error}
		if want.Result == nil && want.Error == nil && want.Params != nil {
			var params, meta map[string]json.RawMessage
			must(t, json.Unmarshal(want.Params, &params))
			if params["_meta"] != nil {
				must(t, json.Unmarshal(params["_meta"], &meta))
			}
			read.Name, read.URI, read.TaskID = text(params["name"]), text(params["uri"]), text(params["taskId"])
			read.Ref, read.Task, read.Arguments, read.Meta = params["ref"], params["task"], params["arguments"], params["_meta"]
			read.Responses, read.State = params["inputResponses"], params["requestState"]
			read.Progress, read.Version = meta["progressToken"], text(meta["io.modelcontextprotocol/protocolVersion"])
		}
		if want.JSONRPC != "2.0" || !reflect.DeepEqual(got, read) {
			t.Fatalf("read as %+v, encoding/json reads %+v", got, read)
		}
		if m, _ := mcp.MessageOf(body); read.Method != "" {
			sameHeaders(t, want.Params, mcp.Mirrored(m))
		}
	})
}

// sameHeaders holds what headers are checked against against what mcp-go finds in
// the whole params.
func sameHeaders(t *testing.T, params, mirrored json.RawMessage) {
	t.Helper()
	for _, method := range []mcpgo.MCPMethod{mcpgo.MethodToolsCall, mcpgo.MethodPromptsGet, mcpgo.MethodResourcesRead, mcpgo.MethodToolsList} {
		want, wantOK := mcpgo.ExtractHeaderName(method, params)
		got, ok := mcpgo.ExtractHeaderName(method, mirrored)
		if got != want || ok != wantOK {
			t.Fatalf("%s: %q (%v) of %s, mcp-go reads %q (%v) of %s", method, got, ok, mirrored, want, wantOK, params)
		}
		for _, name := range []string{"", want, "other", "=?base64?eA==?=", "=?base64?!?="} {
			header := func(key string) string {
				return map[string]string{mcpgo.HeaderMethod: string(method), mcpgo.HeaderName: name}[key]
			}
			asked := mcpgo.ValidateStandardHeaders(header, mcpgo.ProtocolVersion20260728, method, params)
			if told := mcpgo.ValidateStandardHeaders(header, mcpgo.ProtocolVersion20260728, method, mirrored); fmt.Sprint(told) != fmt.Sprint(asked) {
				t.Fatalf("%s with the name %q: %v, mcp-go says %v", method, name, told, asked)
			}
		}
	}
}

// text is a JSON string's, "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}
