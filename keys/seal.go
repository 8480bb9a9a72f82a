package keys

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	sealFormat = 1     // first byte of what is sealed
	sealHeader = 1 + 4 // format, version of the root secret
)

// seal encrypts v as JSON with AES-256-GCM: format, version, nonce, ciphertext.
// The row, which names what it is kept for and where, is associated data: what
// is sealed can't be moved to another row.
func (s *Service) seal(row string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	k := s.derived.byAge[0]
	out := binary.BigEndian.AppendUint32([]byte{sealFormat}, uint32(k.version))
	nonce := make([]byte, k.seal.NonceSize())
	if _, err := io.ReadFull(s.cfg.Rand, nonce); err != nil {
		return nil, err
	}
	return k.seal.Seal(append(out, nonce...), nonce, plain, sealedRow(row, out[:sealHeader])), nil
}

// unseal decrypts what was sealed for the same row, under any version of the
// root secret that is at hand.
func (s *Service) unseal(row string, sealed []byte, v any) error {
	if len(sealed) < sealHeader || sealed[0] != sealFormat {
		return errors.New("unknown format")
	}
	version := int(binary.BigEndian.Uint32(sealed[1:sealHeader]))
	for _, k := range s.derived.byAge {
		if k.version != version {
			continue
		}
		rest := sealed[sealHeader:]
		if len(rest) < k.seal.NonceSize() {
			return errors.New("cut short")
		}
		nonce, text := rest[:k.seal.NonceSize()], rest[k.seal.NonceSize():]
		plain, err := k.seal.Open(nil, nonce, text, sealedRow(row, sealed[:sealHeader]))
		if err != nil {
			return err
		}
		return json.Unmarshal(plain, v)
	}
	return fmt.Errorf("version %d of the root secret is missing", version)
}

func sealedRow(row string, header []byte) []byte { return fmt.Appendf(nil, "%x %s", header, row) }

// sealCredentials encrypts an instance's credentials; none stay none.
func (s *Service) sealCredentials(i *Instance, c Credentials) ([]byte, error) {
	if len(c.Env)+len(c.Headers) == 0 {
		return nil, nil
	}
	return s.seal(credentialsRow(i), c)
}

// Credentials opens an instance's sealed credentials.
func (s *Service) Credentials(i Instance) (c Credentials, err error) {
	if len(i.Sealed) == 0 {
		return Credentials{}, nil
	}
	if err := s.unseal(credentialsRow(&i), i.Sealed, &c); err != nil {
		return Credentials{}, fmt.Errorf("opening the credentials of instance %s: %w", i.Slug, err)
	}
	return c, nil
}

func credentialsRow(i *Instance) string { return "instance " + i.TenantID + " " + i.ID }
