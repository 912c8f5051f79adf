// SPDX-License-Identifier: Apache-2.0

package shop

// Slow says whether an order's charge is pending first.
var Slow = slow
