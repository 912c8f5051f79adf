// SPDX-License-Identifier: Apache-2.0

package shop_test

import (
	"testing"

	"microstax/internal/demo/shop"
)

func TestTheCatalogueIsWhole(t *testing.T) {
	t.Parallel()
	names := map[shop.Change]bool{}
	shown, same := 0, 0
	for _, b := range shop.Behaviours() {
		if names[b.Name] || b.What == "" {
			t.Errorf("%s is there twice, or says nothing", b.Name)
		}
		names[b.Name] = true
		if b.Shows == shop.Never {
			same++
			continue
		}
		shown++
		if b.Place == (shop.Place{}) || b.Severity == "" || !b.Found(b.Place) {
			t.Errorf("%s does not say where it shows, or how severe it is", b.Name)
		}
	}
	if shown < 40 || same < 5 {
		t.Errorf("%d change something and %d nothing", shown, same)
	}
	for _, c := range shop.Changes() {
		if !names[c] {
			t.Errorf("%s is not in the catalogue", c)
		}
	}
}

func TestAPlaceFitsParametersAndAnyText(t *testing.T) {
	t.Parallel()
	b := shop.Behaviour{
		Place: shop.Place{Endpoint: "GET /a/{id}", Kind: "status", Path: "status"}, Shows: shop.Often,
		Also: []shop.Place{{Endpoint: shop.Everywhere, Kind: "call.…", Path: "…"}},
	}
	for _, tt := range []struct {
		at               shop.Place
		found, explained bool
	}{
		{shop.Place{Endpoint: "GET /a/7", Kind: "status", Path: "status"}, true, true},
		{shop.Place{Endpoint: "GET /a/{sku}", Kind: "status", Path: "status"}, true, true},
		{shop.Place{Endpoint: "GET /a/7/b", Kind: "status", Path: "status"}, false, false},
		{shop.Place{Endpoint: "POST /c", Kind: "call.extra", Path: "x GET /y"}, false, true},
		{shop.Place{Endpoint: "GET /a/7", Kind: "header", Path: "etag"}, false, false},
	} {
		if b.Found(tt.at) != tt.found || b.Explains(tt.at) != tt.explained {
			t.Errorf("%+v: got %v, %v", tt.at, b.Found(tt.at), b.Explains(tt.at))
		}
	}
}
