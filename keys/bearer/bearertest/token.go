package bearertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"time"
)

// Order is a token as wished. What it does not say is as in a good token: alg
// RS256, the kid of the key, iss, sub "alice", aud, iat, and exp in an hour.
type Order struct {
	Alg      string         `json:"alg"`      // RS256, PS256, ES256, EdDSA; none; HS256 with the public RSA key as secret
	Stranger bool           `json:"stranger"` // sign with a key that was never published, under the name of one that was
	Header   map[string]any `json:"header"`   // over the usual; null takes out
	Claims   map[string]any `json:"claims"`   // over the usual; null takes out
}

type signingKey struct {
	kid    string
	signer crypto.Signer
}

func newKeys(age int) []signingKey {
	one, err1 := rsa.GenerateKey(rand.Reader, 2048)
	two, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, three, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		panic("no randomness")
	}
	return []signingKey{{fmt.Sprintf("rsa-%d", age), one}, {fmt.Sprintf("ec-%d", age), two}, {fmt.Sprintf("ed-%d", age), three}}
}

// public is the key as in RFC 7517 and 7518, 6; RFC 8037, 2.
func (k signingKey) public() map[string]any {
	out := map[string]any{"kid": k.kid, "use": "sig"}
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		maps.Copy(out, map[string]any{"kty": "RSA", "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())})
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		maps.Copy(out, map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])})
	case ed25519.PublicKey:
		maps.Copy(out, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(public)})
	}
	return out
}

// Token makes what was ordered.
func (p *Provider) Token(o Order) (string, error) {
	if o.Alg == "" {
		o.Alg = "RS256"
	}
	p.mu.Lock()
	known := p.keys
	p.mu.Unlock()
	key := known[map[string]int{"ES256": 1, "EdDSA": 2}[o.Alg]]
	now := time.Now()
	header := over(map[string]any{"alg": o.Alg, "typ": "JWT", "kid": key.kid}, o.Header)
	claims := over(map[string]any{"iss": p.issuer, "sub": "alice", "aud": Audience,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}, o.Claims)
	if o.Stranger {
		key = newKeys(0)[map[string]int{"ES256": 1, "EdDSA": 2}[o.Alg]]
	}
	return Sign(o.Alg, key.signer, header, claims)
}

// Sign makes a token of any header and claims.
func Sign(alg string, key crypto.Signer, header, claims any) (string, error) {
	first, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	second, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := encode(first) + "." + encode(second)
	signature, err := signed(alg, key, []byte(text))
	return text + "." + encode(signature), err
}

func signed(alg string, key crypto.Signer, text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	switch alg {
	case "none":
		return nil, nil
	case "RS256":
		return key.Sign(rand.Reader, sum[:], crypto.SHA256)
	case "PS256":
		return key.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case "EdDSA":
		return key.Sign(nil, text, crypto.Hash(0))
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	case "HS256": // RFC 8725, 2.1: the public key as everybody can have it
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write(text)
		return mac.Sum(nil), nil
	}
	return nil, fmt.Errorf("no such algorithm: %s", alg)
}

func over(usual, wished map[string]any) map[string]any {
	for name, value := range wished {
		if usual[name] = value; value == nil {
			delete(usual, name)
		}
	}
	return usual
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
