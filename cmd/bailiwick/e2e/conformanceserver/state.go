package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

var stateKey = rand.Text()

// seal makes a requestState that unseal knows to be ours. No state has none.
func seal(state string) string {
	if state == "" {
		return ""
	}
	return state + "." + mac(state)
}

func unseal(sealed string) (state string, ok bool) {
	if sealed == "" {
		return "", true
	}
	state, sum, found := strings.Cut(sealed, ".")
	return state, found && hmac.Equal([]byte(sum), []byte(mac(state)))
}

func mac(state string) string {
	h := hmac.New(sha256.New, []byte(stateKey))
	h.Write([]byte(state))
	return hex.EncodeToString(h.Sum(nil))
}
