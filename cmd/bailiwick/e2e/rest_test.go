package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest/resttest"
)

// object is a JSON object as tests write it.
type object = map[string]any

// rest speaks to the key API with one token.
type rest struct {
	url   string
	token string
}

func (s *server) rest() rest { return rest{url: s.url, token: s.firstKey} }

// do answers the status and the body, whatever they are.
func (r rest) do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	x, err := r.exchange(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	document, err := published(r.url)
	if err == nil {
		err = document.Check(x)
	}
	if err != nil {
		t.Error(err)
	}
	return x.Status, x.Body
}

func (r rest) try(method, path string, body any) (int, []byte, error) {
	x, err := r.exchange(method, path, body)
	return x.Status, x.Body, err
}

var document struct {
	sync.Mutex
	*resttest.Document
}

// published is the API's document, of whichever server is asked first: all are
// of the same build.
func published(url string) (*resttest.Document, error) {
	document.Lock()
	defer document.Unlock()
	if document.Document != nil {
		return document.Document, nil
	}
	response, err := (&http.Client{Timeout: patience}).Get(url + "/openapi.json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		document.Document, err = resttest.Read(text)
	}
	return document.Document, err
}

func (r rest) exchange(method, path string, body any) (x resttest.Exchange, err error) {
	x.Method, x.Target = method, path
	var content io.Reader
	if raw, ok := body.(string); ok {
		content = bytes.NewReader([]byte(raw))
	} else if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return x, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, r.url+path, content)
	if err != nil {
		return x, err
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return x, err
	}
	defer response.Body.Close()
	x.Status, x.Header = response.StatusCode, response.Header
	x.Body, err = io.ReadAll(response.Body)
	return x, err
}

// must is do for a request that has to succeed; it answers the decoded body.
func (r rest) must(t testing.TB, method, path string, body any) object {
	t.Helper()
	status, answer := r.do(t, method, path, body)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var decoded object
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &decoded); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return decoded
}

func (r rest) create(t testing.TB, path string, body object) object {
	t.Helper()
	return r.must(t, http.MethodPost, path, body)
}

// key creates a key and answers its id and token.
func (r rest) key(t testing.TB, fields object) (id, token string) {
	t.Helper()
	if fields["name"] == nil {
		fields["name"] = t.Name()
	}
	made := r.create(t, "/api/api-keys", fields)
	return made["id"].(string), made["key"].(string)
}

// fullAccess is everything a key can be given over MCP.
func fullAccess() object {
	return object{"mcpReadOnly": false, "mcpPreset": "full_access"}
}

// with is o with more fields.
func with(o object, more object) object {
	for name, value := range more {
		o[name] = value
	}
	return o
}
