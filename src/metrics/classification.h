// Accuracy, F1 and Spearman correlation of predictions against known answers.
#pragma once

#include <cstdint>
#include <span>

namespace citius {

/// Share of equal entries. Equal lengths, not empty.
double accuracy(std::span<const int32_t> predicted, std::span<const int32_t> expected);

/// F1 of the class `positive`: 2·precision·recall / (precision + recall); 0 where nothing of it was found.
double f1_score(std::span<const int32_t> predicted, std::span<const int32_t> expected, int32_t positive);

/// Unweighted mean of the F1 of every class that occurs in either list (scikit-learn's "macro").
double macro_f1(std::span<const int32_t> predicted, std::span<const int32_t> expected);

/// Spearman's rank correlation, ties given their mean rank; 0 where one side is constant.
double spearman(std::span<const double> a, std::span<const double> b);

}  // namespace citius
