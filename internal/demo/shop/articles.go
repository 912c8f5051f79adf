// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The tiers of customers, and the part of a price that gold customers are spared in quotes: one in goldDiscount.
const (
	Gold         = "gold"
	Silver       = "silver"
	goldDiscount = 20
)

// detail is what an article's page says beside its price.
type detail struct {
	description string
	grams       int
	rating      float64
	successor   string
	related     []string
	percentOff  int
}

// details are those of all articles; the order of Articles decides numbers and days.
func details() map[string]detail {
	return map[string]detail{
		"biscuit-520": {"Butter & almonds, baked in Nîmes", 180, 4.3, "", nil, 0},
		"honey-250":   {"Blossom honey", 310, 4.7, "", []string{"tea-100", "biscuit-520"}, 10},
		"kettle-120":  {"Steel & oak", 980, 4.1, "", []string{"teapot-115", "tea-100", "mug-210"}, 0},
		"mug-210":     {"Stoneware, 0.3 l", 420, 4.9, "", []string{"tea-100", "kettle-120"}, 15},
		"scale-305":   {"Weighs up to 5 kg", 640, 3.7, "timer-330", nil, 0},
		"tea-100":     {"Sencha, first flush <2026>", 100, 4.6, "", []string{"teapot-115", "honey-250", "mug-210"}, 0},
		"teapot-115":  {"Cast iron, für 1,1 Liter", 1850, 4.4, "", []string{"tea-100", "kettle-120"}, 0},
		"timer-330":   {"60 minutes", 130, 3.9, "", nil, 5},
		"towel-410":   {"Linen & cotton", 90, 4.2, "", nil, 0},
		SoldOut:       {"Shines from within", 2300, 4.8, "", nil, 0},
	}
}

// firstBarcode is beyond what a float64 holds exactly.
const firstBarcode = 9_007_199_254_740_993

// page is an article's.
type page struct {
	SKU           string         `json:"sku"`
	Title         string         `json:"title"`
	Description   string         `json:"description"`
	Currency      string         `json:"currency"`
	Price         int64          `json:"price"`
	Discount      *percent       `json:"discount,omitempty"`
	WeightGrams   int            `json:"weightGrams"`
	Rating        float64        `json:"rating"`
	InStock       bool           `json:"inStock"`
	Barcode       int64          `json:"barcode"`
	Tags          []string       `json:"tags"` // sorted
	Related       []string       `json:"related"`
	Successor     *string        `json:"successor"`
	AvailableFrom time.Time      `json:"availableFrom"`
	RestockDate   string         `json:"restockDate"`
	RestockedAt   int64          `json:"restockedAt"` // Unix seconds
	Weather       map[string]any `json:"weather,omitempty"`
}

type percent struct {
	Percent int `json:"percent"`
}

// article shows one article. Its ETag changes when, and only when, what the article is changes.
func (o *orders) article(w http.ResponseWriter, r *http.Request) {
	o.noise.work(r.Context(), readWork)
	sku, code := r.PathValue("sku"), r.URL.Query().Get("currency")
	a, known := catalogue()[sku]
	c, sold := currencies()[code]
	switch {
	case !known:
		answer(w, 0, nil, &problem{status: http.StatusNotFound, Error: "no such article", SKU: sku})
		return
	case !sold:
		answer(w, 0, nil, refuse(http.StatusBadRequest, "no such currency: %q", code))
		return
	}
	doc := pageOf(sku, a, details()[sku])
	doc.Currency, doc.Price = code, c.price(a)
	h := w.Header()
	h.Set("Etag", doc.etag())
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Vary", "Accept-Language")
	if r.Header.Get("If-None-Match") == doc.etag() && !o.changes[NeverNotModified] {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	o.weather(w, r, &doc)
	answer(w, http.StatusOK, doc, nil)
}

func pageOf(sku string, a article, d detail) page {
	n := len(a.title) + d.grams // an arbitrary number that is always the same
	doc := page{
		SKU: sku, Title: a.title, Description: d.description, WeightGrams: d.grams, Rating: d.rating, InStock: a.stock > 0,
		Barcode: firstBarcode + 2*int64(n), Tags: []string{"home", "kitchen", "shop"}, Related: d.related,
		AvailableFrom: standing().AddDate(0, 0, n%300).Add(time.Duration(n%24) * time.Hour),
		RestockDate:   standing().AddDate(0, 0, n%200).Format(time.DateOnly),
		RestockedAt:   standing().AddDate(0, 0, -(n % 90)).Unix(),
	}
	if d.related == nil {
		doc.Related = []string{}
	}
	if d.successor != "" {
		doc.Successor = &d.successor
	}
	if d.percentOff > 0 {
		doc.Discount = &percent{d.percentOff}
	}
	return doc
}

func (p page) etag() string {
	b, _ := json.Marshal(p) //nolint:errchkjson // a page always can be
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// weather is what the profile of noise adds to a page.
func (o *orders) weather(w http.ResponseWriter, r *http.Request, doc *page) {
	switch o.noise {
	case Usual, Quiet, Flaky:
	case Volatile:
		set := map[string]bool{}
		for _, sku := range doc.Related {
			set[sku] = true
		}
		doc.Related = shuffled(set)
		doc.Weather = map[string]any{
			"requestId": uuid(), "servedAt": o.now(), "csrf": randomHex(32),
			"popularity": math.Round(1000*(50+mathrand.Float64())) / 1000, //nolint:gosec // not secret
		}
	case Drifting:
		age := o.drift.age(doc.SKU)
		w.Header().Set("Age", strconv.Itoa(int(age/time.Second)))
		w.Header().Set("X-Cache", map[bool]string{true: "HIT", false: "MISS"}[age > 0])
		doc.Weather = map[string]any{
			"views": o.drift.next(), "layout": o.drift.variant(r.Header.Get("Cookie")), "demand": o.drift.level(),
		}
	}
}
