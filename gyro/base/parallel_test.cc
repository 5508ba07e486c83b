EXPECT_EQ(begun, 4);
}
